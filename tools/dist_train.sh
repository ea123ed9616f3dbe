#!/usr/bin/env bash
# Train on several GPUs, or in several processes of a CPU.
#
#   bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]
#
# Several machines: see tools/_dist.sh.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: bash $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
tools=$(dirname "${BASH_SOURCE[0]}")
source "$tools/_dist.sh"
config=$1
gpus=$2
launch "$gpus" "$tools/train.py" "$config" "${@:3}"
