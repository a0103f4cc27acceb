"""A tool written with urllib: posts the job from standard input, polls while "queue" is in the
answer, and prints the last answer."""

import json
import sys
import time
import urllib.request

endpoint = sys.argv[1]
request = urllib.request.Request(
    endpoint,
    data=sys.stdin.buffer.read(),
    headers={"Content-Type": "application/json", "uid": "me", "apikey": "mine"},
)
text = urllib.request.urlopen(request).read().decode()
while "queue" in text:
    time.sleep(0.1)
    text = urllib.request.urlopen(json.loads(text)["url"]).read().decode()
print(text)
