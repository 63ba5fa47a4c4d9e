#!/bin/sh
# Switches the front lights on:  COLLECTOR_TOKEN=... sh lights-on.sh
set -eu
url=${COLLECTOR_URL:-http://127.0.0.1:5001}
curl --fail-with-body --silent --show-error \
  ${COLLECTOR_TOKEN:+--header "Authorization: Bearer $COLLECTOR_TOKEN"} \
  --json '{"component_type": "LIGHTS", "component_id": "FRONT", "command_id": "MODE", "value": "ON"}' \
  "$url/api/command"
