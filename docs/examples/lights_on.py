"""Switches the front lights on, and says how long that took:  COLLECTOR_TOKEN=... python3 lights_on.py"""
import json
import os
import urllib.error
import urllib.request

url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:5001")
token = os.environ.get("COLLECTOR_TOKEN")

command = {"component_type": "LIGHTS", "component_id": "FRONT", "command_id": "MODE", "value": "ON"}
request = urllib.request.Request(f"{url}/api/command", json.dumps(command).encode())
request.add_header("Content-Type", "application/json")
if token:
    request.add_header("Authorization", f"Bearer {token}")
try:
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    print(f"The lights are on: acknowledged on {answer['bus']} after {answer['round_trip_ms']} ms.")
except urllib.error.HTTPError as refusal:
    raise SystemExit(json.load(refusal)["message"])
