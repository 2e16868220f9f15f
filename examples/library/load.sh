#!/usr/bin/env bash
# Load the example rows of the library into a running service; doing it again is harmless.
#   examples/library/load.sh [http://127.0.0.1:8081]
set -euo pipefail
BASE=${1:-http://127.0.0.1:8081}
cd "$(dirname "$0")/data"

send() { # VERB PATH MEDIA-TYPE BODY [OPTIONS]
  local verb=$1 path=$2 type=$3 body=$4
  shift 4
  curl --silent --show-error --fail-with-body --noproxy '*' -X "$verb" "$BASE$path" \
    -H "Content-Type: $type" --data-binary "$body" "$@"
  echo
}

# A table comes after those it refers to. Branches and librarians refer to each other, so the heads come last.
for table in branch librarian author subject book copy member loan holiday terminal; do
  printf '%s: ' "$table"
  send POST "/$table" text/csv "@$table.csv" -H 'Prefer: resolution=merge-duplicates'
done
for branch in 1 2; do
  send PATCH "/branch/$branch" application/json "{\"head_id\": $branch}"
done
send PUT /book/9780000000017/author application/json '[1]'
send PUT /book/9780000000024/author application/json '[2, 3]'
send PUT /book/9780000000031/author application/json '[3]'
send PUT /book/9780000000017/subject application/json '["823.8"]'
send PUT /book/9780000000024/subject application/json '["551"]'
send PUT /subject/500/subject application/json '["551"]'
send PUT /subject/551/subject application/json '["551.5"]'
send PUT /member/3/copy application/json '[["9780000000024", 1], ["9780000000031", 1]]'
