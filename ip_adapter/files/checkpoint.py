"""Adapter files as named tensors, read lazily: shapes first, each tensor only when it is needed.

Containers are safetensors and pickles of nested dictionaries. Pickles are read with `weights_only`, which
executes no code. What the names in them mean is told in `layouts.py`.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import AdapterFileError
from .stamps import stamp

EXTENSIONS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
Shapes = Mapping[str, tuple[int, ...]]
ReadTensor = Callable[[str], Tensor]
# safetensors' names of what weights are stored in; anything else keeps torch's name.
_DTYPES = {
    torch.double: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
WEIGHTS = frozenset(_DTYPES.values())


class TensorSource(Protocol):
    """Named tensors that can be opened for reading; `name` says where they come from, for messages."""

    @property
    def name(self) -> str: ...

    @property
    def shapes(self) -> Shapes: ...

    @property
    def dtypes(self) -> Mapping[str, str]:
        """Of each tensor, as safetensors names them: F16, BF16, F32, F8_E4M3, I64 and so on."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]: ...

    def open(self) -> Any:
        """A context manager that gives a function from name to tensor (on the CPU, as stored)."""
        ...


@dataclass(frozen=True, eq=False)
class SafetensorsFile:
    """A safetensors file: its header is read at once, its tensors from the mapped file while it is open."""

    path: Path
    shapes: Shapes
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]
    stamp: tuple[str, int, int]

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def read(cls, path: Path) -> "SafetensorsFile":
        with _named_errors(path), safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
            dtypes = {key: str(part.get_dtype()) for key, part in slices.items()}
            return cls(path, shapes, dtypes, file.metadata() or {}, stamp(path))

    @contextmanager
    def open(self) -> Generator[ReadTensor, None, None]:
        with _named_errors(self.path):
            if stamp(self.path) != self.stamp:
                raise AdapterFileError(
                    f"{self.path.name} changed on disk since it was loaded. Queue the workflow again to reload it."
                )
            opened = safe_open(self.path, framework="pt")
        with opened as file:
            # Only what reading raises is the file's fault; the caller's own errors pass through unchanged.
            yield _named_errors(self.path)(file.get_tensor)


@dataclass(frozen=True, eq=False)
class TensorDict:
    """Tensors that are in memory already: a pickle's, or those of an adapter just trained."""

    name: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def shapes(self) -> Shapes:
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}

    @property
    def dtypes(self) -> Mapping[str, str]:
        return {key: _DTYPES.get(tensor.dtype, str(tensor.dtype)) for key, tensor in self.tensors.items()}

    @contextmanager
    def open(self) -> Generator[ReadTensor, None, None]:
        yield self.tensors.__getitem__


def read_tensors(path: Path) -> TensorSource:
    """Opens an adapter file of any container.

    Raises AdapterFileError when the file is missing, unreadable, damaged, or holds code instead of tensors.
    """
    with _named_errors(path):
        if not path.is_file():
            raise AdapterFileError(f"There is no file at {path}. Refresh the node list, or choose another file.")
    return SafetensorsFile.read(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)


def _read_pickle(path: Path) -> TensorDict:
    with _named_errors(path):
        is_archive = is_zipfile(path)
        if is_archive:
            _check_archive(path)
        # Files from before PyTorch 1.6 are no zip archives and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
        tensors = dict(_flatten(content, ""))
    if not tensors:
        raise AdapterFileError(f"{path.name} holds no tensors. It is not a model file; choose another one.")
    return TensorDict(path.name, tensors)


def _check_archive(path: Path) -> None:
    """Refuses an archive that would unpack to more than its own size; PyTorch stores its records as they are."""
    with ZipFile(path) as archive:
        records = archive.infolist()
    unpacked = sum(record.file_size for record in records)
    if any(record.compress_type != ZIP_STORED for record in records) or unpacked > path.stat().st_size:
        raise AdapterFileError(
            f"{path.name} is a compressed archive that unpacks to {unpacked} bytes; model files are stored as they "
            "are. Get it as .safetensors, or from its original source."
        )


def _flatten(content: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield prefix.rstrip("."), content
    elif isinstance(content, Mapping):
        for key, value in content.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _flatten(value, f"{prefix}{key}.")


@contextmanager
def _named_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except SafetensorError as error:
        raise AdapterFileError(
            f"{path.name} is damaged or no safetensors file ({error}). Download it again and compare its size."
        ) from error
    except UnpicklingError as error:
        raise AdapterFileError(
            f"{path.name} was not read, because it is damaged or holds something other than plain tensors, which could "
            "run code. Get it as .safetensors, or from its original source."
        ) from error
    except OSError as error:
        raise AdapterFileError(f"{path.name} cannot be read ({error}). Check the file and its permissions.") from error
    except AdapterFileError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise AdapterFileError(f"{path.name} is damaged ({error}). Download it again and compare its size.") from error
