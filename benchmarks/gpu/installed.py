"""What a checkout that is not installed lacks: its own version and requirements, as
importlib.metadata reads them.
"""

import tomllib
from pathlib import Path

from lab.checkout import ROOT


def write_metadata(folder: Path) -> None:
    """Makes `folder`, put on the path, say what the checkout's distribution is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [
            f'Requires-Dist: {requirement}; extra == "{extra}"' for requirement in requirements
        ]
    made = folder / f"{project['name']}-{project['version']}.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_text("\n".join(lines) + "\n")
