"""Pictures and captions as batches: encoded whenever they come up, or once into a folder."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import FaceError, TrainingError
from .atomic import write_tensors
from .batch import Batch, Text, UncondBatch, joined
from .noise import generator_for
from .pictures import BROKEN, DatasetReport, Picture

Tick = Callable[[int, int], None]  # is told how many of how many have been encoded


class Encoders(Protocol):
    """What turns pictures and captions into what the base and the projector see."""

    @property
    def identity(self) -> str:
        """Changes when the same picture would be encoded differently."""
        ...

    def encode(self, picture: Tensor, caption: str) -> Batch:
        """One sample of a picture (1, 3, height, width) in [0, 1] of any size.

        Raises FaceError for a picture without a face, where the adapter reads faces.
        """
        ...

    def nothing(self) -> UncondBatch:
        """No text and no picture."""
        ...


class Samples(Protocol):
    """What can be trained on, by number."""

    def __len__(self) -> int: ...

    def batch(self, numbers: Sequence[int]) -> Batch: ...


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the samples, as samples of their own."""

    samples: Samples
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, numbers: Sequence[int]) -> Batch:
        return self.samples.batch([self.numbers[number] for number in numbers])


def held_back(samples: Samples, count: int, seed: int) -> tuple[Subset, Subset | None]:
    """The samples less some drawn by the seed, and these. Raises TrainingError when none would be left."""
    if count >= len(samples):
        raise TrainingError(
            f"Expected more pictures than the {count} to hold out, found {len(samples)} sound ones. Lower held_out, or "
            "add pictures."
        )
    numbers = torch.randperm(len(samples), generator=generator_for(seed, "held-out")).tolist()
    measured = sorted(numbers[:count])
    return Subset(samples, sorted(numbers[count:])), Subset(samples, measured) if measured else None


@dataclass(frozen=True, eq=False)
class Encoded:
    """Pictures that are encoded when they come up; the next sound one stands in for one that is broken."""

    pictures: Sequence[Picture]
    encoders: Encoders
    account: DatasetReport

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, numbers: Sequence[int]) -> Batch:
        return joined([self._sample(number) for number in numbers])

    def _sample(self, number: int) -> Batch:
        for step in range(len(self)):
            picture = self.pictures[(number + step) % len(self)]
            sample = encode_picture(picture, self.encoders, self.account)
            if sample is not None:
                return sample
        raise TrainingError("None of the pictures can be read. Check the data folder.")


def encode_picture(picture: Picture, encoders: Encoders, account: DatasetReport) -> Batch | None:
    """The encoded sample, or None for a picture that cannot be used, which the account then names."""
    try:
        pixels = picture.read()
    except BROKEN as error:
        account.broken[picture.name] = str(error)
        return None
    try:
        return encoders.encode(pixels, picture.caption)
    except FaceError as error:
        account.without_face[picture.name] = str(error)
        return None


@dataclass(frozen=True, eq=False)
class Cached:
    """Samples that were encoded into files, one each."""

    files: Sequence[Path]

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, numbers: Sequence[int]) -> Batch:
        return joined([_read(self.files[number]) for number in numbers])


def cached(pictures: Sequence[Picture], encoders: Encoders, folder: Path, account: DatasetReport, tick: Tick) -> Cached:
    """Samples from the folder, which first gets what it lacks. Raises TrainingError when the disk is full."""
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for number, picture in enumerate(pictures, start=1):
        file = folder / f"{_key(picture, encoders)}.safetensors"
        if file.exists() or _cache(picture, encoders, account, file):
            files.append(file)
        tick(number, len(pictures))
    return Cached(files)


def _key(picture: Picture, encoders: Encoders) -> str:
    return hashlib.sha256(repr((picture.stamp, encoders.identity)).encode()).hexdigest()[:32]


def _cache(picture: Picture, encoders: Encoders, account: DatasetReport, file: Path) -> bool:
    sample = encode_picture(picture, encoders, account)
    if sample is None:
        return False
    tensors = {"latents": sample.latents, "context": sample.text.context}
    tensors |= {f"image.{number}": part for number, part in enumerate(sample.image)}
    tensors |= {} if sample.text.vector is None else {"vector": sample.text.vector}
    write_tensors(file, {name: tensor.to(torch.float16) for name, tensor in tensors.items()})
    return True


def _read(file: Path) -> Batch:
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{file} cannot be read ({error}). Delete it; the next start recreates it.") from error
    image = tuple(tensors[name] for name in sorted(tensors) if name.startswith("image."))
    return Batch(tensors["latents"], Text(tensors["context"], tensors.get("vector")), image)
