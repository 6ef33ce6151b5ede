"""The shipped workflows with the demonstration family's files in them, for the template browser of `run.py serve`."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import LauncherError
from .widgets import widget_places
from .workflow import Json, replaced

# What each shipped workflow, made for published models, needs on the demonstration family. See the file.
TABLE = Path(__file__).resolve().parent / "demo_files.json"
PACK = "ip-adapter-nodes-demo"  # what the template browser calls them
PLACE = f"custom_nodes/{PACK}/workflows"
MARK = "_demo"
NOTE = (
    "***Ready to run** on the small demonstration model, nothing to download. It draws one coloured shape, and that "
    "roughly; a shape also stands for a person. What follows is for real models.*"
)


def demo_table(name: str) -> dict[str, Any]:
    """What is substituted in the shipped workflow of that name to run it on the demonstration family."""
    files = json.loads(TABLE.read_text("utf-8"))
    workflows = _changes(files)
    if name not in workflows:
        raise LauncherError(f"Looking for {name} in {TABLE.name}: --demo is for the shipped workflows only.")
    return files["everywhere"] | {files["reference_input"]: "reference.png"} | workflows[name]


def make_room(folder: Path) -> None:
    """A pack without nodes in the base directory `folder`: the host serves workflows of packs it found at its start."""
    (folder / PLACE).mkdir(parents=True, exist_ok=True)
    (folder / PLACE).with_name("__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n", "utf-8")


def write_demo_workflows(root: Path, folder: Path, object_info: Mapping[str, Json]) -> None:
    """Put every workflow of the table, ready for the demonstration family, and its thumbnail where `make_room` was."""
    for name in _changes(json.loads(TABLE.read_text("utf-8"))):
        file, target = root / "workflows" / f"{name}.json", folder / PLACE / f"{name}{MARK}.json"
        ready = fit(json.loads(file.read_text("utf-8")), demo_table(name), object_info)
        target.write_text(json.dumps(ready, ensure_ascii=False), "utf-8")
        with suppress(FileNotFoundError):
            shutil.copyfile(file.with_suffix(".jpg"), target.with_suffix(".jpg"))


def _changes(files: Json) -> dict[str, Json]:
    return files["workflows"] | files["workflows_with_own_pictures"]


def fit(workflow: Json, table: Mapping[str, Any], object_info: Mapping[str, Json]) -> Json:
    """A copy of a saved workflow with the widget values of `table`, whose keys are those of `substitute`."""
    result = copy.deepcopy(workflow)
    for node in result["nodes"]:
        values = node.get("widgets_values") or []
        if node["type"] == "MarkdownNote":
            values[0] = f"{NOTE}\n\n{values[0]}"
            continue
        for name, place in widget_places(values, object_info[node["type"]]).items():
            keys = [f"{owner}.{name}" for owner in (node["type"], node.get("title"))]
            values[place] = replaced(values[place], keys, table)
    return result
