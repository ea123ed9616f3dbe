#!/usr/bin/env bash
# Test under Slurm.
#
#   GPUS=8 bash tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [arguments]
#
# More variables: see tools/_slurm.sh.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: bash $0 PARTITION JOB CONFIG CHECKPOINT" \
        '[arguments of test.py]' >&2
    exit 2
fi
tools=$(dirname "${BASH_SOURCE[0]}")
source "$tools/_slurm.sh"
submit "$1" "$2" "$tools/test.py" "${@:3}"
