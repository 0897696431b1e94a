"""Nothing in the program decodes what can run code, and every promise of docs/security.md has its test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("runtime", "perception", "memory", "reasoning", "benchmarks", "requirements")
# Modules and calls that make objects, or run code, out of bytes.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "os.system"}


def sources() -> list[Path]:
    return [PROJECT / "run_agent.py", *(file for package in PACKAGES for file in (PROJECT / package).rglob("*.py"))]


def name_of(node: ast.expr) -> str:
    """The dotted name of what is called, as it is written."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def faults(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            called = name_of(node.func)
            given = {keyword.arg: keyword.value for keyword in node.keywords}

            def is_given(key: str, value: object, given: dict[str | None, ast.expr] = given) -> bool:
                node = given.get(key)
                return isinstance(node, ast.Constant) and node.value is value

            if called in UNSAFE_CALLS:
                found.append(called)
            elif called == "yaml.load" and not name_of(given.get("Loader", node.func)).endswith("SafeLoader"):
                found.append("yaml.load without a safe loader")
            elif called.endswith("torch.load") and not is_given("weights_only", True):
                found.append(f"{called} without weights_only=True")
            elif called.endswith("np.load") and is_given("allow_pickle", True):
                found.append(f"{called} with allow_pickle")
            elif called.startswith("subprocess.") and is_given("shell", True):
                found.append(f"{called} with a shell")
            elif is_given("trust_remote_code", True) or is_given("verify", False):
                found.append(f"{called} with {sorted(map(str, given))}")
    return found


def test_nothing_is_decoded_that_can_run_code() -> None:
    found = {
        str(path.relative_to(PROJECT)): wrong for path in sources() if (wrong := faults(ast.parse(path.read_bytes())))
    }
    assert not found


def test_what_could_run_code_would_be_found() -> None:
    written = (
        "import pickle\nfrom dill import loads\nyaml.load(x)\neval(x)\ntorch.load(p)\n"
        "torch.load(p, weights_only=False)\nnp.load(p, allow_pickle=True)\nsubprocess.run(x, shell=True)\n"
        "make(x, trust_remote_code=True)\nget(u, verify=False)\nyaml.load(x, Loader=yaml.Loader)\n"
    )
    assert len(faults(ast.parse(written))) == 11
    harmless = "yaml.safe_load(x)\nyaml.load(x, Loader=CSafeLoader)\ntorch.load(p, weights_only=True)\nnp.load(p)\n"
    assert not faults(ast.parse(harmless))


def test_every_promise_of_the_threat_model_names_a_test_that_is_there() -> None:
    page = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
    table = re.search(r"^\| promise .*?\n\n", page, re.MULTILINE | re.DOTALL)
    assert table
    promises = table[0].strip().splitlines()[2:]
    assert len(promises) > 10
    for promise in promises:
        named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", promise)
        assert named, f"no test is named for: {promise}"
        for file, test in named:
            text = (PROJECT / "tests" / file).read_text(encoding="utf-8")
            assert f"def {test}" in text, f"{file} has no {test}"
