#!/usr/bin/env bash
# Ask OSV, the database of known vulnerabilities, about all that the lists requirements/LOCK.lock pin (`make audit`).
#
#     requirements/audit.sh VENV LOCK...
#
# 0: it knows of none; 1: they are listed; 2: it could not be asked, so nothing is known.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
shift
locks=("${@/#/requirements/}")
locks=("${locks[@]/%/.lock}")

# --disable-pip: the lists are complete, and nothing is to be fetched.
code=0
told=$("$venv/bin/pip-audit" --vulnerability-service osv --strict --disable-pip --require-hashes --progress-spinner off \
    "${locks[@]/#/--requirement=}" 2>&1) || code=$?
if grep -qE '(ConnectionError|Timeout|ServiceError|ConnectError)\b' <<<"$told"; then
    echo 'audit: the database of vulnerabilities (OSV) cannot be reached from here; nothing was audited' >&2
    exit 2
fi
printf '%s\n' "$told"
exit $code
