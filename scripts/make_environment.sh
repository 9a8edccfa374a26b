#!/bin/sh
# Make the virtual environment $1 and install this project into it with the extras $2.
#
# The environment is made with $PYTHON, or else with the first Python found that is new enough.
set -eu

environment=$1
extras=$2

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.14 python3.11; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

if [ ! -x "$environment/bin/python" ]; then
    python=${PYTHON:-$(find_python)}
    if [ -z "$python" ]; then
        echo "Astro Magic needs Python 3.11 or newer; this machine has $(python3 --version 2>/dev/null || echo 'no Python')." >&2
        echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
    if ! command -v "$python" >/dev/null; then
        echo "There is no Python $python." >&2
        exit 1
    fi
    if ! new_enough "$python"; then
        echo "Astro Magic needs Python 3.11 or newer; $python is $("$python" --version 2>&1)." >&2
        echo "Name another one: make PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python cannot make virtual environments: its venv module is missing." >&2
        echo "On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Making $environment with $("$python" --version)"
    "$python" -m venv "$environment"
fi

echo "Installing Astro Magic with the extras $extras into $environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --editable ".[$extras]"
