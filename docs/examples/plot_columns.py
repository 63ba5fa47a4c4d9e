"""Draws signals of the last minute:  python3 plot_columns.py MOTORS/MOTOR_LEFT_REAR/RPM NAVIGATION/GPS_PRIMARY/SPEED"""
import json
import os
import sys
import time
import urllib.parse
import urllib.request

url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:5001")
token = os.environ.get("COLLECTOR_TOKEN")

signals = sys.argv[1:]
query = urllib.parse.urlencode({"signal": signals, "from": time.time() - 60, "points": 60}, doseq=True)
request = urllib.request.Request(f"{url}/api/series?{query}")
if token:
    request.add_header("Authorization", f"Bearer {token}")
with urllib.request.urlopen(request) as response:
    series = json.load(response)

for name, signal in zip(signals, series["signals"]):
    least = min((value for value in signal["min"] if value is not None), default=0)
    most = max((value for value in signal["max"] if value is not None), default=0)
    step = (most - least) / 7 or 1
    line = (" " if mean is None else "▁▂▃▄▅▆▇█"[round((mean - least) / step)] for mean in signal["mean"])
    print(f"{name}  {least} to {most} {signal['unit'] or ''}")
    print("".join(line))
