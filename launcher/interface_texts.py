"""The texts of the nodes as the host tells them, in the form of its translation files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .folders import CUSTOM_NODES

PACK = {source: name for name, source in CUSTOM_NODES.items()}["."]
ENGLISH = Path("locales") / "en" / "nodeDefs.json"
HELP = Path("web") / "docs"


def english_texts(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """From /object_info to what `locales/en/nodeDefs.json` holds: the pack's nodes in the order of their names."""
    ours = {name: node for name, node in object_info.items() if node["python_module"] == f"custom_nodes.{PACK}"}
    return {name: _texts(ours[name]) for name in sorted(ours)}


def as_file(texts: Mapping[str, Any]) -> str:
    """The content of a translation file."""
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def help_copies(root: Path) -> dict[Path, str]:
    """The English help pages under the names by which a frontend finds them in a language that we have none for."""
    pages = sorted((root / HELP).glob("*/en.md"))
    return {page.parent.with_suffix(".md"): page.read_text(encoding="utf-8") for page in pages}


def _texts(node: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {name: spec for kind in ("required", "optional") for name, spec in node["input"].get(kind, {}).items()}
    outputs = zip(node["output_name"], node["output_tooltips"], strict=True)
    return {
        "display_name": node["display_name"],
        "description": node["description"],
        "inputs": {name: _entry(name, spec[1].get("tooltip")) for name, spec in inputs.items()},
        "outputs": {str(index): _entry(name, tooltip) for index, (name, tooltip) in enumerate(outputs)},
    }


def _entry(name: str, tooltip: str | None) -> dict[str, str]:
    return {"name": name, "tooltip": tooltip or ""}
