"""Counts the frames of a bus with python-can until it is told to end; then prints how many there were.

Usage: python-receiver.py INTERFACE"""

import signal
import sys

import can

bus = can.Bus(interface="socketcan", channel=sys.argv[1])
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
print("ready", flush=True)
frames = 0
while True:
    message = bus.recv(0.5)
    if message is not None:
        frames += 1
    elif ending:
        break
print(frames, flush=True)
