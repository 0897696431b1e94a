#!/usr/bin/env bash
# Make the virtual environment VENV hold exactly what the lists requirements/LOCK.lock say.
#
#     requirements/install.sh VENV LOCK...
#
# Nothing happens when it does already. A changed list rebuilds the environment from scratch, so no package of an
# older list stays behind; one that is only a link belongs to another checkout, and is used as it is. pip's own
# configuration (index, find-links, certificates) is respected; whatever it brings is held to the checksums of the lists.
# --no-deps because the lists are complete.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.13 python3.12 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
                fail "$candidate cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found; install it, or name it: make PYTHON=/path/to/python3.11"
}

check_imports() {
    "$1" - <<'PYTHON'
import importlib, sys
for name in ("av", "ctranslate2", "cv2", "onnxruntime", "zmq"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        hint = "a system library it needs is missing" if ".so" in str(error) else "no fitting build of it was installed"
        sys.exit(f"setup: {name} cannot be loaded ({error}): {hint}")
PYTHON
}

venv=$1
shift
locks=("${@/#/requirements/}")
locks=("${locks[@]/%/.lock}")

if [ -L "$venv" ]; then
    "$venv/bin/python" -c '' 2>/dev/null || fail "$venv is a link to $(readlink "$venv"), where there is no Python"
    exit 0
fi
if "$venv/bin/python" -c '' 2>/dev/null && cat "${locks[@]}" | cmp -s - "$venv/installed.lock"; then
    exit 0
fi

python=$(find_python)
count=$(cat "${locks[@]}" | wc -l)
printf 'Setting up %s with %s, %d packages ...\n' "$venv" "$("$python" --version)" "$count"
start=$SECONDS
"$python" -m venv --clear "$venv"
log="$venv/install.log"
for lock in "${locks[@]}"; do
    # Source packages build with what requirements/build.lock pins, not with whatever is newest today.
    "$venv/bin/python" -m pip install --no-input --disable-pip-version-check --require-hashes --no-deps \
        --no-compile --no-build-isolation -r "$lock" >>"$log" 2>&1 || {
        grep -v '^WARNING' "$log" | tail -n 12 >&2
        fail "pip could not install $lock (all of pip's words: $log)"
    }
done
# A first start should not pay for compiling. On all cores, which pip does not do; and not the gigabytes of the other
# lists, of which little is ever imported. What does not compile (templates, old syntax) is not imported either.
case " $* " in *" dev "* | *" full "*) ;; *) "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >>"$log" 2>&1 || true ;; esac
case " $* " in *" embedded "*) check_imports "$venv/bin/python" ;; esac
cat "${locks[@]}" >"$venv/installed.lock"
printf 'Set up in %d s, %s.\n' $((SECONDS - start)) "$(du -sh "$venv" | cut -f1)"
