"""Writes a drive as CSV:  python3 export_drive.py 2026-01-01T12:00 2026-01-01T13:00 > drive.csv"""
import os
import shutil
import sys
import urllib.parse
import urllib.request

url = os.environ.get("COLLECTOR_URL", "http://127.0.0.1:5001")
token = os.environ.get("COLLECTOR_TOKEN")

query = urllib.parse.urlencode({"from": sys.argv[1], "to": sys.argv[2], "order": "asc"})
request = urllib.request.Request(f"{url}/api/state/history?{query}", headers={"Accept": "text/csv"})
if token:
    request.add_header("Authorization", f"Bearer {token}")
# Streamed: a drive of hours takes no more memory than one of seconds.
with urllib.request.urlopen(request) as response:
    shutil.copyfileobj(response, sys.stdout.buffer)
