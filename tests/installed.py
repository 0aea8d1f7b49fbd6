"""The entry points of pyproject.toml, for a process that has the package on its path but does not find it installed."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[1]


def install_entry_points(folder: Path) -> None:
    """Write them where an interpreter with `folder` on its path finds them, unless it finds all of them anyway.

    Args:
        folder: comes on the path before anything that is installed.
    """
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    if all(entry_points(group=group, name=name) for group, points in declared.items() for name in points):
        return
    info = folder / "saga_celery-0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saga-celery\nVersion: 0\n")
    sections = (_section(group, points) for group, points in declared.items())
    (info / "entry_points.txt").write_text("\n".join(sections))


def _section(group: str, points: dict[str, str]) -> str:
    return "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]) + "\n"
