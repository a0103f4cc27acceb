"""What a daemon says of itself, for lib.control: a busy one with some trouble."""

JOB_ID = "h-AbCdEfGhIjKlMnOpQrStUv"

UPSTREAM = {
    "name": "pro", "url": "https://pro.example.com", "api": 1, "priority": 0,
    "max_in_flight": 10, "in_flight": 2, "state": "refused", "balance": 310203,
    "requests": {"solve": {"final": 3, "queued": 2}, "status": {"final": 20},
                 "balance": {"final": 1}},
}

STATUS = {
    "version": "0.1.0", "pid": 4711, "started": "2026-11-20T01:00:00Z", "uptime": 93784.5,
    "state": "taking", "ready": False, "message": "every account is refused",
    "listeners": ["http://127.0.0.1:8118", "https://[::1]:8443"],
    "configuration": {
        "file": "/etc/solvegate/solvegate.conf", "loaded": "2026-11-20T01:00:00Z",
        "last_reload": {"at": "2026-11-20T02:00:00Z", "ok": False, "message": "line 3 is wrong"},
        "restart_needed": "workers",
    },
    "attention": ["the certificate has expired"], "attention_total": 3,
    "connections": {"open": 12, "max": 9000},
    "queue": {"jobs": 3, "purchases": 2, "max": 8000, "bytes": 1572864, "max_bytes": 1073741824},
    "in_flight": 2, "jobs": {"solved": 120, "upstream_rejected": 3, "deadline": 0},
    "results": {"upstream": 100, "collapsed": 10, "cache": 10},
    "store": {"durability": "full", "directory": "/var/lib/solvegate", "well": True},
    "audit": {"file": "/var/lib/solvegate/audit.jsonl", "well": False},
    "log": {"lost": 12}, "upstreams": [UPSTREAM],
}

WELL = {
    **STATUS, "attention": [], "attention_total": 0, "ready": True, "message": "", "log": {"lost": 0},
    "configuration": {**STATUS["configuration"], "last_reload": None, "restart_needed": ""},
    "audit": {**STATUS["audit"], "well": True}, "upstreams": [{**UPSTREAM, "state": "up"}],
}

JOB = {
    "id": JOB_ID, "client": "ci", "state": "queued", "source": "upstream", "upstream": None,
    "created": "2026-11-20T02:00:00Z", "age": 12.3, "deadline_in": 107.7, "attempts": 2,
    "trouble": "the upstream answered 503", "trouble_upstream": "pro", "code": None,
    "message": None, "finished": None,
}

CLIENT = {
    "name": "ci", "weight": 1, "max_in_flight": 4, "rate": {"limit": 5.5, "burst": 10, "left": 9},
    "expires": "2027-01-31", "expired": False, "sites": 2, "in_flight": 1, "queued": 3, "unfinished": 5,
    "daily": {"limit": 1000, "used": 12, "reserved": 1, "left": 987, "resets": 3600},
    "monthly": {"limit": None, "used": 300, "reserved": 0, "left": None, "resets": 3600},
    "saved": {"cache": 6, "collapsed": 7},
}

USAGE = {
    "ledger": [{"client": "ci", "upstream": "pro", "charged": 299, "unknown": 1},
               {"client": "ann", "upstream": "free", "charged": 5, "unknown": 0}],
    "clients": [CLIENT],
}

BALANCES = {"balances": [
    {"upstream": "pro", "age": 75.0, "message": "",
     "balance": {"planlimit": 1000, "used": 3, "Subscription": {"remaining": 4}}},
    {"upstream": "free", "age": None, "balance": None, "message": "not asked yet"},
]}

ANSWERS = {
    "GET /control/status": (200, STATUS),
    "GET /control/jobs": (200, {"jobs": [JOB], "total": 7}),
    "GET /control/jobs?limit=100": (200, {"jobs": [JOB], "total": 1}),
    "GET /control/jobs?limit=1000": (200, {"jobs": [JOB], "total": 1}),
    f"GET /control/job?id={JOB_ID}": (200, JOB),
    f"DELETE /control/job?id={JOB_ID}": (200, {"id": JOB_ID, "state": "cancelled"}),
    "GET /control/clients": (200, {"clients": [CLIENT]}),
    "GET /control/usage": (200, USAGE),
    "GET /control/upstreams": (200, {"upstreams": [UPSTREAM]}),
    "GET /control/balance": (200, BALANCES),
    "POST /control/drain": (200, {"state": "drained"}),
    "POST /control/resume": (200, {"state": "taking"}),
    "POST /control/reload": (200, {"ok": True, "message": "upstreams: +b",
                                   "restart_needed": "workers", "warnings": ["sites.allow is empty"],
                                   "warnings_total": 1}),
}

EMPTY = {
    "GET /control/jobs": (200, {"jobs": [], "total": 0}),
    "GET /control/clients": (200, {"clients": []}),
    "GET /control/usage": (200, {"clients": [], "ledger": []}),
    "GET /control/upstreams": (200, {"upstreams": []}),
    "GET /control/balance": (200, {"balances": []}),
}
