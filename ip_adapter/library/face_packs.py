"""Packs of face models: folders of ONNX files, wherever below `models/insightface` they were unpacked."""

from collections.abc import Sequence
from pathlib import Path

from ...models.facts import FaceRecogniser
from ..errors import FaceError
from ..faces.pack import AUTO, Pack
from .catalog import by_name

_PREFERRED = FaceRecogniser.BUFFALO_L.value  # the pack that FaceID adapters were trained with
# insightface's own layout is models/NAME; unpacking often makes it models/NAME/NAME, or forgets `models`.
_PLACES = ("models/*/*.onnx", "models/*.onnx", "models/*/*/*.onnx", "*/*.onnx")


def find_packs(roots: Sequence[Path]) -> dict[str, Pack]:
    """Packs below the host's `insightface` folders by name; of equal names the first counts."""
    packs: dict[str, Pack] = {}
    for root in roots:
        for place in _PLACES:
            for folder in sorted({path.parent for path in root.glob(place)}):
                packs.setdefault(folder.name, Pack(folder.name, folder))
    return packs


def choose_pack(name: str, roots: Sequence[Path]) -> Pack:
    """The pack of that name; `auto` is buffalo_l, or else the first one.

    Raises FaceError with the folders looked at: nothing there, another name, or a zip that is not unpacked.
    """
    packs = find_packs(roots)
    if name == AUTO and packs:
        return packs.get(_PREFERRED, next(iter(packs.values())))
    if name in packs:
        return packs[name]
    wanted = _PREFERRED if name == AUTO else name
    where = ", ".join(str(root / "models") for root in roots)
    for archive in (path for root in roots for pattern in ("*.zip", "models/*.zip") for path in root.glob(pattern)):
        if name in (AUTO, archive.stem):
            raise FaceError(f"{archive} is not unpacked. Unpack it to {roots[0] / 'models' / archive.stem}.")
    found = f"Found there: {', '.join(packs)}." if packs else "Found there: none."
    command = f"python3 run.py models get {wanted}"
    known = f" Or run '{command}' in the folder of IP-Adapter Nodes." if by_name(wanted) else ""
    raise FaceError(
        f"There is no face analysis pack {wanted!r}. Searched: {where}. {found} Put the pack's .onnx files into "
        f"{roots[0] / 'models' / wanted} and refresh (R).{known}"
    )
