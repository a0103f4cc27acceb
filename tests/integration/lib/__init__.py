"""What the integration tests share: processes, HTTP, jobs. Standard library only."""
