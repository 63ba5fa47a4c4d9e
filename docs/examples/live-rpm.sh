#!/bin/sh
# Prints the motors' RPM twice a second, as events with JSON, until Ctrl+C:  sh live-rpm.sh
set -eu
url=${COLLECTOR_URL:-http://127.0.0.1:5001}
exec curl --fail-with-body --silent --show-error --no-buffer --get \
  ${COLLECTOR_TOKEN:+--header "Authorization: Bearer $COLLECTOR_TOKEN"} \
  --data-urlencode 'signal=MOTORS/*/RPM' --data max_hz=2 \
  "$url/api/events"
