#!/bin/sh
# Writes a drive as CSV:  sh export-drive.sh 2026-01-01T12:00 2026-01-01T13:00 > drive.csv
set -eu
url=${COLLECTOR_URL:-http://127.0.0.1:5001}
curl --fail-with-body --silent --show-error --get \
  ${COLLECTOR_TOKEN:+--header "Authorization: Bearer $COLLECTOR_TOKEN"} \
  --header 'Accept: text/csv' --data order=asc \
  --data-urlencode "from=$1" --data-urlencode "to=$2" \
  "$url/api/state/history"
