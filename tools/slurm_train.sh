#!/usr/bin/env bash
# Train under Slurm.
#
#   GPUS=8 bash tools/slurm_train.sh PARTITION JOB CONFIG [arguments of train.py]
#
# More variables: see tools/_slurm.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: bash $0 PARTITION JOB CONFIG [arguments of train.py]" >&2
    exit 2
fi
tools=$(dirname "${BASH_SOURCE[0]}")
source "$tools/_slurm.sh"
submit "$1" "$2" "$tools/train.py" "${@:3}"
