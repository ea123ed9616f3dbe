# Sourced by quickstart.sh and run_tests.sh: sets PYTHON to an interpreter in
# which the package and its extras are installed.
#
#   prepare_environment [INTERPRETER]
#
# With INTERPRETER, or OPENCD_GOLD_PYTHON in the environment, that one is used
# as it is: nothing is installed into it, so no torch of yours is replaced.
# Without, .venv is made in the repository and filled with the tested pins;
# a stamp of the requirement files makes later calls instant.

CONSTRAINTS=requirements/constraints.txt
TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu

fail() {
    echo "error: $*" >&2
    exit 1
}

# The tested numpy needs Python 3.11.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found, which the pins in $CONSTRAINTS" \
        'need; pass --python with an environment of your own'
}

requirements_stamp() {
    cat setup.py opencd_gold/version.py requirements/*.txt \
        | "$PYTHON" -c 'import hashlib, sys
print(sys.version, hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# A build of torch without CUDA is a tenth of the size; it is on an index of
# its own, which is only named where it answers.
torch_index_options() {
    if [ "$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null \
        && "$PYTHON" -c "import urllib.request
urllib.request.urlopen('$TORCH_CPU_INDEX/torch/', timeout=5)" 2>/dev/null; then
        echo "--extra-index-url $TORCH_CPU_INDEX"
    fi
}

prepare_environment() {
    PYTHON="${1:-${OPENCD_GOLD_PYTHON:-}}"
    if [ -n "$PYTHON" ]; then
        "$PYTHON" -c 'import opencd_gold' \
            || fail "opencd_gold cannot be imported by $PYTHON; install it" \
                "there first: $PYTHON -m pip install -e .[all,tests]"
        return
    fi

    local base quiet=-q
    base="$(find_python)" || exit 1
    PYTHON="$PWD/.venv/bin/python"
    local stamp=.venv/opencd_gold.stamp
    if [ -x "$PYTHON" ] \
        && [ "$(cat "$stamp" 2>/dev/null)" = "$(requirements_stamp)" ]; then
        return
    fi
    [ -t 1 ] && quiet=
    echo "[environment] .venv with $("$base" --version)"
    "$PYTHON" -m pip --version >/dev/null 2>&1 \
        || "$base" -m venv --clear .venv \
        || fail "$base -m venv failed (Debian: apt install python3-venv)"
    local torch
    torch="$(grep '^torch==' "$CONSTRAINTS")"
    echo "[environment] $torch"
    # shellcheck disable=SC2046
    "$PYTHON" -m pip install $quiet $(torch_index_options) "$torch"
    echo "[environment] opencd_gold and what it needs"
    "$PYTHON" -m pip install $quiet -c "$CONSTRAINTS" -e '.[all,tests]'
    # opencv-python wants libGL of the system; the headless one does not.
    "$PYTHON" -c 'import cv2' 2>/dev/null \
        || "$PYTHON" -m pip install $quiet -c "$CONSTRAINTS" \
            --force-reinstall --no-deps opencv-python-headless
    "$PYTHON" -c 'import opencd_gold'
    requirements_stamp >"$stamp"
}
