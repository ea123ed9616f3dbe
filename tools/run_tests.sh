#!/usr/bin/env bash
# Lint and tests, installing what they need into .venv on the first run.
#
#   bash tools/run_tests.sh [--python PY] [arguments of pytest]
#
# --python PY (or OPENCD_GOLD_PYTHON=PY) uses an environment of your own as it
# is. TEST_WORKERS sets the number of test processes (default 2).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/_env.sh

interpreter=
if [ "${1:-}" = --python ]; then
    [ $# -ge 2 ] || fail '--python expects an interpreter'
    interpreter=$2
    shift 2
fi
prepare_environment "$interpreter"

"$PYTHON" -m ruff check .
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$PYTHON" -m pytest -n "${TEST_WORKERS:-2}" "$@"
