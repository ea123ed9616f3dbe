#!/usr/bin/env bash
# From a fresh machine to change maps: installs into .venv, makes triplets,
# trains, tests, and ends with the table of metrics and the path of a picture.
#
#   bash tools/quickstart.sh [--data-root DIR] [--config CONFIG]
#                            [--work-dir DIR] [--python PY]
#
# --data-root  triplets of your own: DIR/{train,val,test}/{A,B,C,label}, that is
#              before, after, another image after (train and val), change map;
#              files of one sample have the same name. Default: made ones.
# --config     default: configs/gold/gold_efflite0_quickstart_synthetic-256x256.py
# --work-dir   logs, checkpoints, pictures; default: quickstart_out/NAME. A run
#              that was stopped goes on where it was.
# --python     use an environment of your own, as it is, instead of .venv.
set -euo pipefail

here=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tools/_env.sh"

config=
data_root=
work_dir=
interpreter=
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help)
            sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        --config | --data-root | --work-dir | --python) ;;
        *) fail "unknown option $1; see $0 --help" ;;
    esac
    [ $# -ge 2 ] || fail "$1 expects a value"
    case "$1" in
        --config) config=$2 ;;
        --data-root) data_root=$2 ;;
        --work-dir) work_dir=$2 ;;
        --python) interpreter=$2 ;;
    esac
    shift 2
done

# Paths are the caller's; the rest runs in the repository.
absolute() {
    case "$1" in
        /*) echo "$1" ;;
        *) echo "$here/$1" ;;
    esac
}
if [ -z "$config" ]; then
    config=$root/configs/gold/gold_efflite0_quickstart_synthetic-256x256.py
fi
config=$(absolute "$config")
[ -f "$config" ] || fail "--config: no file $config"
if [ -n "$data_root" ]; then
    data_root=$(absolute "$data_root")
    [ -d "$data_root" ] || fail "--data-root: no folder $data_root"
fi
name=$(basename "$config" .py)
work_dir=$(absolute "${work_dir:-$root/quickstart_out/$name}")
cd "$root"

# Threads that wait asleep: on a machine that does other things as well, threads
# that spin make a training step several times as long.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"

SECONDS=0
say() {
    printf '\n[%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

say 'Environment'
prepare_environment "$interpreter"

if [ -z "$data_root" ]; then
    data_root=$root/quickstart_out/triplets
    if [ ! -f "$data_root/complete" ]; then
        say "Making triplets in $data_root"
        "$PYTHON" tools/dataset_converters/make_synthetic.py "$data_root" \
            --train 192 --val 24 --test 24 --size 256 --force
        touch "$data_root/complete"
    fi
fi

# The log is long and so are its lines; all of it is kept in the work directory.
only() {
    "$PYTHON" -c 'import re, sys
for line in sys.stdin:
    if re.search(sys.argv[1], line):
        line = line.replace(" - mmengine - INFO - ", "  ")
        print(re.sub("(  (loss|mIoU): [^ ]+).*", "\\1", line), end="", flush=True)
' "$1"
}

# first_by getmtime|getsize PATTERN: the newest or the largest file.
first_by() {
    "$PYTHON" -c 'import glob, os, sys
print(max(glob.glob(sys.argv[2]), key=getattr(os.path, sys.argv[1]),
          default=""))' "$@"
}

say "Training $name"
mkdir -p "$work_dir"
resume=
if [ -f "$work_dir/last_checkpoint" ] \
    && [ "$(cat "$work_dir/data_root" 2>/dev/null)" = "$data_root" ]; then
    resume=--resume
fi
echo "$data_root" >"$work_dir/data_root"
"$PYTHON" tools/train.py "$config" --work-dir "$work_dir" \
    --data-root "$data_root" $resume \
    | only 'Iter\(|Epoch\(|best checkpoint|esumed|WARNING.*earlier'

# The newest: an earlier run in the same folder may have left others.
checkpoint=$(first_by getmtime "$work_dir/best_*.pth")
[ -n "$checkpoint" ] || fail "training left no best_*.pth in $work_dir"

say "Testing $(basename "$checkpoint")"
pictures=$work_dir/pictures
"$PYTHON" tools/test.py "$config" "$checkpoint" --work-dir "$work_dir/test" \
    --data-root "$data_root" --show-dir "$pictures" \
    | only 'Iter\(test\)|^[+|]|change figures'

# The file that holds most is the picture with most to see.
picture=$(first_by getsize "$pictures/*.png")
say 'Done'
echo "checkpoint  $checkpoint"
echo "curves      $work_dir/curves.png"
echo "pictures    $pictures"
echo "look at     $picture"
