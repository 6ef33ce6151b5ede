"""The structure of the house: no circles between rooms, the host's names behind its door, one class a name."""

import ast
import re
from pathlib import Path

from sources import imported, sources

# Keys of the host's dictionaries and names of its arguments: they are its, and may change with it.
HOST_WORDS = re.compile(
    r"transformer_options|cond_or_uncond|patches_replace|activations_shape|sample_sigmas|[\"']sigmas[\"']|ad_params"
    r"|model_options|c_crossattn|context_window|original_conds|[\"']uuids?[\"']|[\"']n_heads[\"']|block_index"
)
# Objects that come in on the host's wires are typed by the protocols in host/model.py.
UNTYPED = re.compile(r"\b(?:model|clone|origin|clip|vae|clip_vision|unet|network): Any\b")


def rooms_used(root: Path) -> dict[str, set[str]]:
    """Every room of the pack -> the rooms that its files import; a file of the core by itself is a room."""
    used: dict[str, set[str]] = {}
    for path in sources(root):
        parts = path.with_suffix("").parts
        room = "/".join(parts[:2]) if parts[0] == "ip_adapter" else parts[0]
        for name in imported(root, path):
            first, *rest = name.replace("ip_adapter_nodes.", "pack.").split(".")
            if first == "pack":
                other = "/".join(rest[:2]) if rest[0] == "ip_adapter" else rest[0]
                used.setdefault(room, set()).update({other} - {room})
    return used


def around_a_corner(used: dict[str, set[str]]) -> list[str]:
    """Rooms that lead back to themselves, over however many others."""

    def reached(room: str) -> set[str]:
        seen: set[str] = set()
        todo = list(used.get(room, ()))
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += used.get(other, ())
        return seen

    return sorted(room for room in used if room in reached(room))


def test_no_two_rooms_import_each_other(root):
    used = rooms_used(root)
    assert len(used) > 20
    assert around_a_corner(used) == []


def test_a_circle_of_rooms_would_be_found(tmp_path):
    for room, line in {"a": "from ..b import x", "b": "from ..c import x", "c": "from ..a import x"}.items():
        (tmp_path / "ip_adapter" / room).mkdir(parents=True)
        (tmp_path / "ip_adapter" / room / "file.py").write_text(line)
    assert around_a_corner(rooms_used(tmp_path)) == ["ip_adapter/a", "ip_adapter/b", "ip_adapter/c"]


def lines_with(root: Path, pattern: re.Pattern[str], rooms: tuple[str, ...], but: str = "") -> list[str]:
    """The lines of these rooms, without those of one, that hold a pattern."""
    return [
        f"{path.as_posix()}:{number}"
        for path in sources(root)
        if path.parts[0] in rooms and "/".join(path.parts[:2]) != but
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def host_words(root: Path) -> list[str]:
    return lines_with(root, HOST_WORDS, ("ip_adapter", "models"), but="ip_adapter/host")


def test_the_hosts_names_stand_in_the_host_folder_alone(root):
    assert host_words(root) == []


def test_one_of_the_hosts_names_elsewhere_would_be_found(tmp_path):
    for room in ("weights", "host"):
        (tmp_path / "ip_adapter" / room).mkdir(parents=True)
        (tmp_path / "ip_adapter" / room / "bad.py").write_text("\nrows = options['sigmas']\n")
    assert host_words(tmp_path) == ["ip_adapter/weights/bad.py:2"]


def test_objects_of_the_host_are_typed(root):
    assert lines_with(root, UNTYPED, ("ip_adapter",)) == []


def test_an_untyped_object_would_be_found(tmp_path):
    (tmp_path / "ip_adapter").mkdir()
    (tmp_path / "ip_adapter" / "bad.py").write_text("def f(model: Any, name: str) -> None: ...\n")
    assert lines_with(tmp_path, UNTYPED, ("ip_adapter",)) == ["ip_adapter/bad.py:1"]


def classes(root: Path) -> dict[str, list[str]]:
    """Every public class of the core and the networks, and the files in which one of its name stands."""
    files: dict[str, list[str]] = {}
    for path in sources(root):
        if path.parts[0] in ("ip_adapter", "models"):
            for node in ast.parse((root / path).read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    files.setdefault(node.name, []).append(path.as_posix())
    return files


def test_no_two_classes_have_one_name(root):
    found = classes(root)
    assert len(found) > 100
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
