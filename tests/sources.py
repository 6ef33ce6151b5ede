"""The files of the pack, and what they import, for tests of its structure."""

import ast
from pathlib import Path

TEST_FOLDERS = {"tests"}


def sources(root: Path) -> list[Path]:
    """Every Python file of the pack outside of the tests and hidden folders."""
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(
        path for path in found if path.parts[0] not in TEST_FOLDERS and not any(p.startswith(".") for p in path.parts)
    )


def imported(root: Path, path: Path):
    """Dotted names that a file imports anywhere in it, our own as "pack.models.linear"."""
    package = ["pack", *path.parts[:-1]]
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)
