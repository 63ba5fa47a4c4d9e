"""Prints the latest value of every signal:  python3 current_state.py"""
import json
import os
import urllib.request

url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:5001")
token = os.environ.get("COLLECTOR_TOKEN")

request = urllib.request.Request(f"{url}/api/state/current")
if token:
    request.add_header("Authorization", f"Bearer {token}")
with urllib.request.urlopen(request) as response:
    state = json.load(response)

if state["simulated"]:
    print("SIMULATED: not a real vehicle")
for component_type, components in state["components"].items():
    for component_id, commands in components.items():
        for command_id, signal in commands.items():
            value = signal["value_name"] or signal["value"]
            age = f"  ({signal['age_s']:.0f} s old)" if signal["stale"] else ""
            print(f"{component_type}/{component_id}/{command_id}: {value} {signal['unit'] or ''}{age}")
