#!/usr/bin/env bash
# A tour of the generated API in curl calls. It needs the rows that load.py loads and can be run again and again:
#   examples/workforce/tour.sh [http://127.0.0.1:8081]
set -euo pipefail
BASE=${1:-http://127.0.0.1:8081}

# Inside this script, curl shows the call and the answer's status too, and stops the tour at one that is not expected.
curl() {
  local answer status argument
  printf '\n$ curl'
  for argument; do
    case $argument in *[!A-Za-z0-9:/._-]*) argument="'$argument'" ;; esac
    printf ' %s' "$argument"
  done
  echo
  answer=$(command curl --silent --show-error --noproxy '*' --max-time 30 --write-out '\n%{http_code}' "$@")
  status=${answer##*$'\n'}
  printf '%s\nHTTP %s\n' "${answer%$'\n'*}" "$status"
  [[ $status == ${expect:-2??} ]] || { echo "Expected ${expect:-2??}, got $status." >&2; return 1; }
}

# The first two providers, and links to the other pages.
curl "$BASE/provider?offset=0&limit=2"

# One program. Money is a number, digit for digit as it is stored.
curl "$BASE/program/5"

# A search: the rows that equal all the given fields.
curl -X POST "$BASE/participant/query" -H 'Content-Type: application/json' -d '{"veteran": true}'

# A search that finds nothing is a 404.
expect=404 curl -X POST "$BASE/credential/query" -H 'Content-Type: application/json' \
  -d '{"credential_type": "badge", "issuer": "Nobody"}'

# A new participant. The answer tells the new ID, and Location where the row is. An e-mail address can be there only
# once, so this one is made from the time.
curl -i -X POST "$BASE/participant" -H 'Content-Type: application/json' -d '{
  "first_name": "Łucja",
  "last_name": "Okonkwo",
  "email": "lucja.'"$(date +%s)-$$"'@example.org",
  "date_of_birth": "2000-08-15",
  "education": "high_school",
  "veteran": false,
  "barriers": ["low_income"],
  "consented_at": "2026-04-01T14:30:00Z"
}'

# PUT stores a row under an ID of the caller's choice: 201 the first time, 200 when it is there already.
curl -X PUT "$BASE/credential/50" -H 'Content-Type: application/json' -d '{
  "registry_id": "ce-5f0c1b1e-7a7d-4c55-9c59-0a6d8e2b1150",
  "name": "Forklift Operator Card",
  "credential_type": "badge",
  "issuer": "Midwest Safety Council",
  "exam_fee": 45.50
}'

# PATCH changes the given fields only. A time with an offset and a fraction of a second …
curl -X PATCH "$BASE/enrollment/2" -H 'Content-Type: application/json' \
  -d '{"attendance_percent": 92.50, "reported_at": "2026-05-08T13:25:43.511-05:00"}'

# … comes back in UTC, the fraction kept.
curl "$BASE/enrollment/2"

# Values that the schema does not allow are refused, all at once and each by its name.
expect=400 curl -X POST "$BASE/program" -H 'Content-Type: application/json' -d '{
  "provider_id": 1,
  "code": "WLD-999",
  "name": "Underwater Welding",
  "cip_code": "welding",
  "delivery": "by mail",
  "duration_weeks": 12,
  "tuition": -5,
  "teacher": "nobody"
}'

# A program of a provider that does not exist is a conflict with a foreign key.
expect=409 curl -X POST "$BASE/program" -H 'Content-Type: application/json' -d '{
  "provider_id": 999999,
  "code": "WLD-999",
  "name": "Underwater Welding",
  "cip_code": "48.0508",
  "delivery": "in_person",
  "duration_weeks": 12,
  "tuition": 9800.00
}'

# Many-to-many: the credentials to which program 1 leads.
curl "$BASE/program/1/credential"

# PATCH adds to them; one that is there already is no error.
curl -X PATCH "$BASE/program/1/credential" -H 'Content-Type: application/json' -d '[2, 3]'

# PUT replaces them: from now on exactly these.
curl -X PUT "$BASE/program/1/credential" -H 'Content-Type: application/json' -d '[1, 2]'

# The same association from the other side: the programs that lead to credential 1.
curl "$BASE/credential/1/program"

# The document leaves out PUT for participants, so it does not exist. Allow lists what does.
expect=405 curl -i -X PUT "$BASE/participant/1" -H 'Content-Type: application/json' -d '{"first_name": "José"}'

# DELETE is in the document, and never deletes.
expect=405 curl -X DELETE "$BASE/provider/1"
