"""A small training inside the host: an adapter from the models on the wires, with progress bar and cancel button."""

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from torch import Tensor, nn

from ..adapter import Adapter
from ..errors import AdapterFileError, SettingError
from ..faces.detection import FaceAnalyser
from ..files.stamps import stamp
from ..host import capabilities
from ..host.feedback import Progress
from ..host.files import FOLDER
from ..host.images import as_image, as_pictures
from ..host.model import HostClipVision, HostModel
from ..host.saved_files import SavedFiles
from ..training.config import Precision, TrainingConfig
from ..training.curve import plot
from ..training.export import export
from ..training.in_memory_dataset import TrainingSet, held_pictures
from ..training.kinds import kind_named, reads
from ..training.loop import Callbacks, Training
from ..training.pictures import DatasetReport
from ..training.samples import cached
from ..training.single_process import Alone
from ..training.sources import find_data
from .readers import reader_for
from .training import HostCheckpoint, HostEncoders, job_of, trainable_base

FILES = SavedFiles(FOLDER, (".safetensors",), "adapter", AdapterFileError)
PRECISIONS = (Precision.FLOAT32, Precision.BFLOAT16)  # float16 is for the command, which can scale the loss
NO_FOLDER = "none"
_POINTS, _MEASUREMENTS = 100, 10  # of the curve, at most
_NEVER = 2**62  # steps


@dataclass(frozen=True, eq=False)
class Wires:
    """What is connected: MODEL, CLIP and VAE, and what the kind of adapter needs besides."""

    checkpoint: HostCheckpoint
    clip_vision: HostClipVision | None = None
    analyser: FaceAnalyser | None = None
    start: Adapter | None = None


@dataclass(frozen=True)
class TrainOptions:
    """What the user chose on Train IP-Adapter, choices by their names; as in TrainingConfig."""

    kind: str
    steps: int
    batch: int
    learning_rate: float
    resolution: int
    held_out: int = 0
    seed: int = 0
    precision: str = Precision.FLOAT32.value
    recompute: bool = False


def input_folders() -> list[str]:
    """Folders below the host's input folder, for a combo."""
    root = Path(folder_paths.get_input_directory())
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir())
    return [NO_FOLDER, *found]


def folder_stamp(folder: str) -> object:
    """What changes when the files in a folder do."""
    root = Path(folder_paths.get_input_directory(), folder)
    return None if folder == NO_FOLDER else [stamp(path) for path in sorted(root.rglob("*")) if path.is_file()]


def training_pictures(images: Sequence[Tensor], captions: Sequence[str], folder: str) -> TrainingSet:
    """Images of the workflow with their captions, then the pictures in a folder of `input_folders`.

    Raises SettingError when there are none or captions do not fit, TrainingError for a folder that cannot be read.
    """
    own = list(held_pictures([as_pictures(image).cpu() for image in images], captions))
    found, account = [], DatasetReport()
    if folder != NO_FOLDER:
        found, account = find_data(Path(folder_paths.get_input_directory(), folder), _temporary_folder() / "rows")
    account.without_caption += [picture.name for picture in own if not picture.caption]
    if not own and not found:
        raise SettingError("There are no pictures to train on. Connect images, or choose a folder that holds some.")
    return TrainingSet((*own, *found), account)


def train(wires: Wires, pictures: TrainingSet, name: str, options: TrainOptions) -> tuple[Adapter, Tensor, str]:
    """The trained adapter, which is also a file in the host's output folder; its curve as an IMAGE; and what was done.

    Until the last step nothing is written but temporary
    files, and cancelling leaves nothing. Raises what training raises, all but TrainingError before the first step.
    """
    path = FILES.new(name)
    # Nodes run in a mode without gradients.
    with tempfile.TemporaryDirectory(dir=_temporary_folder()) as folder, torch.inference_mode(False):
        config = _config(wires, Path(folder), options)
        account = replace(pictures.account, broken={}, without_face={})
        training = _training(wires, TrainingSet(pictures.pictures, account), config)
        adapter = export(path, training.weights(), config, training.step)
        curve = as_image(plot(training.curve.points))
    measured = [point.held_out for point in training.curve.points if point.held_out is not None]
    lines = [f"{config.steps} steps, saved as {path}", str(account)]
    lines += [f"Held-out loss {measured[0]:.4f} before, {measured[-1]:.4f} after"] if measured else []
    return adapter, curve, "\n".join(lines)


def _training(wires: Wires, pictures: TrainingSet, config: TrainingConfig) -> Training:
    progress = Progress(len(pictures.pictures) + config.steps)
    reader = reader_for(config.kind, wires.clip_vision, wires.analyser)
    encoders = HostEncoders(wires.checkpoint, reader, config.resolution, "")
    base = trainable_base(wires.checkpoint.model.model, _copied_unet(wires.checkpoint.model))
    samples = cached(pictures.pictures, encoders, config.output, pictures.account, lambda *_: progress())
    pictures.account.used = len(samples)
    job = job_of(base, encoders, samples, config, wires.start)
    comfy.model_management.unload_all_models()
    training = Training(job, Alone(comfy.model_management.get_torch_device()))
    training.train(Callbacks(stepped=lambda _: progress()))  # which raises where the user has cancelled
    return training


def _config(wires: Wires, output: Path, options: TrainOptions) -> TrainingConfig:
    """What goes into the file tells of the wires what can be told."""
    kind = kind_named(options.kind)
    reading = reads(kind)
    return TrainingConfig(
        base=Path(type(wires.checkpoint.model.model.model_config).__name__),
        data=Path("workflow"),
        output=output,
        steps=options.steps,
        image_encoder=Path("workflow") if reading.stage is not None else None,
        face_models=Path("workflow") if reading.face is not None else None,
        start=None if wires.start is None else Path(wires.start.source.name),
        kind=kind,
        resolution=options.resolution,
        batch=options.batch,
        learning_rate=options.learning_rate,
        precision=Precision(options.precision),
        recompute=options.recompute,
        held_out=options.held_out,
        seed=options.seed,
        save_every=_NEVER,
        log_every=max(1, options.steps // _POINTS),
        measure_every=max(1, options.steps // _MEASUREMENTS),
    )


def _copied_unet(model: HostModel) -> nn.Module:
    """The UNet with its LoRAs as a network of our own, so that the host's stays as it is, and where it is."""
    clone = model.clone(**capabilities.static_weights(model.clone))
    comfy.model_management.load_models_gpu([clone], force_full_load=True)
    return copy.deepcopy(clone.get_model_object("diffusion_model"))


def _temporary_folder() -> Path:
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
