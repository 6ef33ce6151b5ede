"""Face analysis with the ONNX files of insightface's packs, run by onnxruntime alone: nothing to compile."""

import logging
from enum import Enum, auto
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.shapes import Float
from ..errors import FaceError
from ..files.stamps import sha256_of
from .alignment import RECOGNISED
from .detection import Detections
from .face import RECOGNISERS, WIDTH, Recogniser
from .pack import AUTO, Pack
from .scrfd import decoded, letterboxed

log = logging.getLogger(__name__)

# Of what onnxruntime offers, the first of these; TensorRT and CoreML would compile anew for every size.
_PROVIDERS = ("CUDA", "ROCM", "MIGraphX", "Dml", "CPU")
_SUFFIX = "ExecutionProvider"
_REMOTE = "Azure"


class Role(Enum):
    DETECTOR = auto()
    RECOGNISER = auto()
    OTHER = auto()


class OnnxFaceAnalyser:
    """SCRFD and ArcFace as a FaceAnalyser. `device` is where they run, by onnxruntime's short name."""

    def __init__(self, detector: Any, recogniser: Any, identity: Recogniser) -> None:
        self._detector, self._recogniser, self.recogniser = detector, recogniser, identity

    @property
    def device(self) -> str:
        return str(self._detector.get_providers()[0]).removesuffix(_SUFFIX)

    def detect(self, picture: Tensor, size: int, confidence: float) -> Detections:
        # A detector exported for one size gets the picture at any size on the canvas that it can take.
        height, width = (side if isinstance(side, int) else size for side in self._detector.get_inputs()[0].shape[2:])
        canvas = int(height), int(width)
        blob, scale = letterboxed(picture, size, canvas)
        faces = decoded(_run(self._detector, blob), canvas, confidence)
        return faces.moved(scale, torch.zeros(2))

    def embed(self, faces: Tensor) -> Float[Tensor, "faces 512"]:
        # One by one: some recognisers are exported for a batch of one.
        return torch.cat([_run(self._recogniser, face[None] * 2 - 1)[0] for face in faces])


def _run(session: Any, blob: Tensor) -> list[Tensor]:
    return [torch.from_numpy(output) for output in session.run(None, {session.get_inputs()[0].name: blob.numpy()})]


def open_pack(pack: Pack, provider: str = AUTO) -> OnnxFaceAnalyser:
    """The detector and the recogniser of a pack, identified by their inputs and outputs whatever the files are called.

    Raises FaceError when onnxruntime is missing or cannot use the provider, or when one of the two is not there.
    """
    found: dict[Role, tuple[Path, Any]] = {}
    for path in pack.files:
        session = _session(path, provider)
        found.setdefault(role_of(session), (path, session))
        if found.keys() >= _MEANING.keys():
            break
    for role, meaning in _MEANING.items():
        if role not in found:
            names = ", ".join(path.name for path in pack.files)
            raise FaceError(
                f"Expected {meaning} in {pack.folder}, found only {names}. Unpack the pack's whole archive."
            )
    path, recogniser = found[Role.RECOGNISER]
    analyser = OnnxFaceAnalyser(found[Role.DETECTOR][1], recogniser, _identity(pack, path))
    log.info("Face analysis: %s from %s on %s", analyser.recogniser.name, pack.folder, analyser.device)
    return analyser


_MEANING = {
    Role.DETECTOR: "a face detector (SCRFD with five points)",
    Role.RECOGNISER: f"a face recogniser (ArcFace: {RECOGNISED}x{RECOGNISED} pixels in, {WIDTH} numbers out)",
}


def role_of(session: Any) -> Role:
    """What a model is for, from its signature; sizes that the file leaves open may be anything."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4 or shape[1] != 3:
        return Role.OTHER
    widths = {output.shape[-1] for output in outputs if output.shape and isinstance(output.shape[-1], int)}
    if len(outputs) == 1 and shape[2:] == [RECOGNISED] * 2 and widths <= {WIDTH}:
        return Role.RECOGNISER
    # Three or five levels, each with scores, boxes and points.
    return Role.DETECTOR if len(outputs) in (9, 15) and widths <= {1, 4, 10} else Role.OTHER


def available_providers() -> list[str]:
    """Short names of what the installed onnxruntime offers, by its own preference; none without onnxruntime."""
    try:
        names: list[str] = _runtime().get_available_providers()
    except FaceError:
        return []
    return [name for name in (name.removesuffix(_SUFFIX) for name in names) if name != _REMOTE]


def _session(path: Path, provider: str) -> Any:
    runtime = _runtime()
    wanted = _provider(provider)
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors only: warnings are about how the packs were exported
    try:
        session = runtime.InferenceSession(str(path), options, providers=list(dict.fromkeys((wanted, f"CPU{_SUFFIX}"))))
    except Exception as error:  # onnxruntime has one class per status code
        raise FaceError(
            f"{path} cannot be used as an ONNX model ({path.stat().st_size} bytes; {str(error)[:200]}). Download the "
            "pack again and compare sizes."
        ) from error
    if session.get_providers()[0] != wanted:
        message = f"onnxruntime offers {wanted} but cannot start it; its libraries are missing or of another version."
        if provider != AUTO:
            raise FaceError(f"{message} Choose CPU, or install what onnxruntime asks for in the log.")
        log.warning("%s Using the CPU.", message)
    return session


def _provider(name: str) -> str:
    offered = available_providers()
    if name == AUTO:
        name = next((wanted for wanted in _PROVIDERS if wanted in offered), "CPU")
    if name not in offered:
        raise FaceError(f"This onnxruntime cannot run on {name!r}; it offers {', '.join(offered)}. Choose one of them.")
    return name + _SUFFIX


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise FaceError(
            f"Face analysis needs onnxruntime, which cannot be imported here ({error}). Install it for ComfyUI's "
            "Python: 'python -m pip install onnxruntime', or 'onnxruntime-gpu' in its place for an NVIDIA card."
        ) from error
    return onnxruntime


def _identity(pack: Pack, path: Path) -> Recogniser:
    digest = sha256_of(path)
    return Recogniser(RECOGNISERS.get(digest, f"{pack.name}/{path.name}"), digest)
