"""The wheel: everything lies below one importable name, `mindstream`, as it lies in a checkout (docs/decisions/0019).

All else that setuptools is told stands in pyproject.toml.
"""

from setuptools import find_namespace_packages, setup

# Folders without modules (profiles, templates) count too: every file in them is taken along.
FOLDERS = ("runtime", "perception", "memory", "reasoning", "configs")
found = find_namespace_packages(
    include=[pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")], exclude=["*.__pycache__*"]
)
setup(
    package_dir={"mindstream": "."},
    py_modules=["mindstream.run_agent"],
    packages=[f"mindstream.{name}" for name in found],
    package_data={f"mindstream.{name}": ["*"] for name in found},
)
