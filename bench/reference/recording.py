"""Writes a candump log of a candump log's frames, as python-can does: recording.py LOG OUT"""

import json
import resource
import sys
import time

import can

log, out = sys.argv[1:]
started = time.perf_counter()
frames = 0
writer = can.CanutilsLogWriter(out)
for message in can.LogReader(log):
    writer(message)
    frames += 1
writer.stop()
usage = resource.getrusage(resource.RUSAGE_SELF)
figures = {
    "frames": frames,
    "seconds": time.perf_counter() - started,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
}
print(json.dumps(figures))
