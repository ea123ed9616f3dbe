#!/usr/bin/env bash
# Test on several GPUs, or in several processes of a CPU.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
#
# Several machines: see tools/_dist.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: bash $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
tools=$(dirname "${BASH_SOURCE[0]}")
source "$tools/_dist.sh"
config=$1
checkpoint=$2
gpus=$3
launch "$gpus" "$tools/test.py" "$config" "$checkpoint" "${@:4}"
