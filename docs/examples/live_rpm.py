"""Prints the motors' RPM twice a second until Ctrl+C:  python3 live_rpm.py"""
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:5001")
token = os.environ.get("COLLECTOR_TOKEN")


def events(response):
    """Name and data of each event, line by line."""
    name, data = None, None
    for line in response:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = json.loads(value)
        elif field == "" and data is not None:
            yield name, data
            name, data = None, None


query = urllib.parse.urlencode({"signal": "MOTORS/*/RPM", "max_hz": 2})
request = urllib.request.Request(f"{url}/api/events?{query}")
if token:
    request.add_header("Authorization", f"Bearer {token}")
while True:
    try:
        # The service says something every few seconds: silence is a lost connection.
        with urllib.request.urlopen(request, timeout=15) as response:
            for name, data in events(response):
                for sample in data["samples"] if name == "samples" else []:
                    print(sample["component_id"], sample["value"], sample["unit"], flush=True)
    except urllib.error.HTTPError as refusal:
        raise SystemExit(json.load(refusal)["message"])
    except OSError as problem:
        print(problem, flush=True)
    time.sleep(1)
