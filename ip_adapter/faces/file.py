"""Faces on the disk: our own safetensors files, and embeddings that other programs have made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import FaceError, PictureError
from ..files.checkpoint import TensorSource, read_tensors
from .alignment import crops_of, template_box
from .face import CROP, SQUARE, WIDTH, Crops, Face, FaceLandmarks, Faces, Recogniser

EXTENSIONS = (".safetensors", ".pt")
FORMAT, VERSION = "ip-adapter-nodes faces", 1


@dataclass(frozen=True)
class _Kind:
    """A tensor of a file: its shape for one face, its type in memory, and what others call it."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    others: tuple[str, ...] = ()


# Only embeddings must be there. A tensor saved alone with torch.save has an empty name.
_KINDS = {
    "embeddings": _Kind((WIDTH,), others=("embedding", "")),
    "points": _Kind((5, 2), others=("kps",)),
    "boxes": _Kind((4,)),
    "scores": _Kind(()),
    "pictures": _Kind((), torch.int64),
    "found": _Kind((), torch.bool),
    "crops": _Kind((3, CROP, CROP), torch.uint8),
    "squares": _Kind((3, SQUARE, SQUARE), torch.uint8),
}


def save_faces(faces: Faces, path: Path) -> None:
    """Writes a file that `load_faces` reads back bit for bit. What only some of the faces have is left out."""
    members = faces.members
    columns: dict[str, Sequence[Tensor | None]] = {
        "embeddings": [face.embedding for face in members],
        "points": [face.place and face.place.points for face in members],
        "boxes": [face.place and face.place.box for face in members],
        "scores": [torch.tensor(face.score) for face in members],
        "pictures": [torch.tensor(face.picture) for face in members],
        "found": [torch.tensor(face.found) for face in members],
        "crops": [face.crops and face.crops.aligned for face in members],
        "squares": [face.crops and face.crops.square for face in members],
    }
    present = {name: [item for item in column if item is not None] for name, column in columns.items()}
    tensors = {name: torch.stack(column) for name, column in present.items() if len(column) == len(members)}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "recogniser": faces.recogniser.name,
        "recogniser_sha256": faces.recogniser.sha256,
        "skipped": " ".join(map(str, faces.skipped)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)


def load_faces(path: Path, pictures: Tensor | None = None) -> Faces:
    """Faces from our own file, or raw embeddings (n, 512) with optional points (n, 5, 2) from any other.

    Where the file has points and no crops, those are cut out of `pictures` (n, 3, height, width): one for each face,
    or one for all. Raises FaceError for a later version or tensors of other shapes, AdapterFileError for a file that
    cannot be read, PictureError for another number of pictures.
    """
    source = read_tensors(path)
    if source.metadata.get("format") == FORMAT and source.metadata.get("version") != str(VERSION):
        raise FaceError(
            f"{source.name} is of version {source.metadata.get('version')} of this format, expected {VERSION}. Update "
            "IP-Adapter Nodes, or save the faces again."
        )
    tensors = _tensors(source)
    shown = _pictures(pictures, len(tensors["embeddings"]))
    members = tuple(_face(tensors, index, picture) for index, picture in enumerate(shown))
    known = Recogniser(source.metadata.get("recogniser", "unknown"), source.metadata.get("recogniser_sha256", ""))
    return Faces(members, known, tuple(map(int, re.findall(r"\d+", source.metadata.get("skipped", "")))))


def _tensors(source: TensorSource) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    with source.open() as read:
        for name, kind in _KINDS.items():
            stored = next((other for other in (name, *kind.others) if other in source.shapes), None)
            if stored is not None:
                tensors[name] = _shaped(source.name, stored, read(stored), kind)
    if "embeddings" not in tensors:
        raise FaceError(
            f"Expected 'embeddings' (n, {WIDTH}) in {source.name}, got {', '.join(list(source.shapes)[:4])}. Choose a "
            "file of Save Faces, or one of raw embeddings."
        )
    counts = {name: len(tensor) for name, tensor in tensors.items()}
    if len(set(counts.values())) > 1:
        raise FaceError(f"Expected the same number of everything in {source.name}, got {counts}. Save the faces again.")
    return tensors


def _shaped(file: str, name: str, tensor: Tensor, kind: _Kind) -> Tensor:
    if tuple(tensor.shape[tensor.ndim - len(kind.shape) :]) != kind.shape:
        expected = ", ".join(map(str, ("n", *kind.shape)))
        raise FaceError(f"Expected {name!r} in {file} to be of shape ({expected}), got {tuple(tensor.shape)}.")
    return tensor.reshape(-1, *kind.shape).to(kind.dtype)


def _pictures(pictures: Tensor | None, faces: int) -> Sequence[Tensor | None]:
    if pictures is None:
        return [None] * faces
    if len(pictures) not in (1, faces):
        raise PictureError(f"Expected one picture, or one for each of the {faces} faces, got {len(pictures)}.")
    return list(pictures.expand(faces, -1, -1, -1))


def _face(tensors: Mapping[str, Tensor], index: int, picture: Tensor | None) -> Face:
    row = {name: tensor[index].clone() for name, tensor in tensors.items()}
    place = None
    if "points" in row:
        box = row["boxes"] if "boxes" in row else template_box(row["points"])
        place = FaceLandmarks(box, row["points"])
    crops = Crops(row["crops"], row["squares"]) if {"crops", "squares"} <= row.keys() else None
    if crops is None and place is not None and picture is not None:
        crops = crops_of(picture, place)
    return Face(
        picture=int(row.get("pictures", torch.tensor(index))),
        embedding=row["embeddings"],
        score=float(row.get("scores", torch.tensor(1.0))),
        place=place,
        crops=crops,
        found=bool(row.get("found", torch.tensor(True))),
    )
