#!/bin/sh
# Gives the columns for a plot of the last minute as JSON:  sh plot-columns.sh MOTORS/MOTOR_LEFT_REAR/RPM > rpm.json
set -eu
url=${COLLECTOR_URL:-http://127.0.0.1:5001}
for signal in "$@"; do set -- "$@" --data-urlencode "signal=$signal"; shift; done
curl --fail-with-body --silent --show-error --get \
  ${COLLECTOR_TOKEN:+--header "Authorization: Bearer $COLLECTOR_TOKEN"} \
  --data "from=$(($(date +%s) - 60))" --data points=60 "$@" \
  "$url/api/series"
