"""The pipeline that one would write instead: python-can reads the log, struct-like decoding into a dict
of the latest state, sqlite3 stores every sample in transactions of 1,000 rows.

Usage: replay.py LOG DATABASE. Prints one line of JSON: frames, seconds, cpu_seconds."""

import json
import sqlite3
import sys
import time

import can

ROWS_PER_TRANSACTION = 1000
INSERT = "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def raw_value(value_type, bits):
    if value_type == 0:
        return bits & 1
    if value_type == 1:
        return ((bits & 0xFF) ^ 0x80) - 0x80
    if value_type == 2:
        return bits & 0xFF
    if value_type == 3:
        return ((bits & 0xFFFF) ^ 0x8000) - 0x8000
    if value_type == 4:
        return bits & 0xFFFF
    if value_type == 5:
        return (bits ^ 0x800000) - 0x800000
    return bits


def main(log, database_path):
    database = sqlite3.connect(database_path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(
        "CREATE TABLE samples (timestamp REAL, node_id INTEGER, message_type INTEGER, component_type INTEGER,"
        " component_id INTEGER, command_id INTEGER, value_type INTEGER, value INTEGER)"
    )
    state = {}
    rows = []
    frames = 0
    started = time.perf_counter()
    cpu_started = time.process_time()
    for message in can.LogReader(log):
        frames += 1
        data = message.data
        if len(data) != 8:
            continue
        head, _, component_id, command_id, kind, high, middle, low = data
        value_type = kind >> 4
        value = raw_value(value_type, (high << 16) | (middle << 8) | low)
        key = (head >> 6, (head >> 3) & 7, component_id, command_id)
        node_id = message.arbitration_id
        state[key] = {"value": value, "timestamp": message.timestamp, "node_id": node_id}
        rows.append((message.timestamp, node_id, *key, value_type, value))
        if len(rows) == ROWS_PER_TRANSACTION:
            with database:
                database.executemany(INSERT, rows)
            rows.clear()
    with database:
        database.executemany(INSERT, rows)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    print(json.dumps({"frames": frames, "seconds": seconds, "cpu_seconds": cpu_seconds}))


main(sys.argv[1], sys.argv[2])
