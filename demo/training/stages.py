"""The stages of the demo training, in order, each resumable and each runnable alone."""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ...ip_adapter.training.trainable import TrainableAdapter
from ..files import FACE_PACK, WEIGHTS
from ..judge import JUDGE, AttributeClassifier
from . import (
    adapter,
    autoencoder,
    classifier,
    control_lora,
    export,
    face_adapter,
    face_detector,
    face_recogniser,
    face_references,
    image_encoder,
    latents,
    lora,
    parallel,
    plus_adapter,
    shipped,
    sibling,
    t2i_adapter,
    text_to_image,
    with_pictures,
)
from .face_networks import Recogniser


@dataclass(frozen=True)
class Work:
    """Where a training keeps its checkpoints, and the weights of an earlier version that it goes on with.

    Base and adapter go on together; what stands on them is trained anew, and what doesn't is taken as it is.
    """

    folder: Path
    earlier: Path | None = None

    def took(self, name: str) -> bool:
        """Whether a file or folder of weights comes from the earlier version, where it then lies now."""
        if self.earlier is None:
            return False
        source, target = self.earlier / name, WEIGHTS / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
        return True


_Stage = Callable[[Work], object]


def _autoencoder(work: Work) -> autoencoder.Autoencoder:
    return shipped.load_base(work.earlier)[1] if work.earlier else autoencoder.train(work.folder)


def _teacher(work: Work) -> AttributeClassifier:
    return classifier.train("teacher", classifier.TEACHER, work.folder)


def _judge(work: Work) -> AttributeClassifier:
    return classifier.train("judge", classifier.JUDGE, work.folder, _autoencoder(work))


def _image_encoder(work: Work) -> nn.Module:
    return image_encoder.train(work.folder, _teacher(work))


def _pool(work: Work) -> latents.Pool:
    return latents.load_pool(work.folder, _autoencoder(work))


def _text_to_image(work: Work) -> text_to_image.TextToImage:
    return text_to_image.train(work.folder, _pool(work))


def _first_adapter(work: Work) -> TrainableAdapter:
    return adapter.train(work.folder, _text_to_image(work), _pool(work))


def _with_pictures(work: Work) -> with_pictures.Together:
    if work.earlier is None:
        return with_pictures.train(work.folder, _text_to_image(work), _first_adapter(work), _pool(work))
    base = shipped.load_base(work.earlier)[0]
    earlier = adapter.load(work.earlier, base)
    return with_pictures.train(work.folder, base, earlier, _pool(work), with_pictures.CONTINUED)


def _base(work: Work) -> text_to_image.TextToImage:
    return _with_pictures(work).base


def _adapter(work: Work) -> TrainableAdapter:
    together = _with_pictures(work)
    return adapter.go_on(work.folder, together.base, together.adapter, _pool(work))


def _plus_adapter(work: Work) -> TrainableAdapter:
    return plus_adapter.train(work.folder, _base(work), _pool(work))


def _control_lora(work: Work) -> control_lora.TrainableControl:
    return control_lora.train(work.folder, _base(work), _pool(work))


def _t2i_adapter(work: Work) -> nn.Module:
    return t2i_adapter.train(work.folder, _base(work), _pool(work))


def _lora(work: Work) -> lora.TrainableLora:
    return lora.train(work.folder, _base(work), _pool(work), _autoencoder(work))


def _sibling(work: Work) -> text_to_image.TextToImage:
    return sibling.train(work.folder, _base(work), _pool(work), _autoencoder(work))


def _face_detector(work: Work) -> nn.Module:
    return face_detector.train(work.folder)


def _face_recogniser(work: Work) -> Recogniser:
    return face_recogniser.train(work.folder)


def _face_adapter(work: Work) -> face_adapter.TrainableFaceAdapter:
    references = face_references.load_references(work.folder)
    return face_adapter.train(work.folder, _base(work), _adapter(work), references, _pool(work))


def _export_image_encoder(work: Work) -> None:
    """Adapters read pictures through the exported file, as users do."""
    if not work.took(shipped.IMAGE_ENCODER):
        export.export_image_encoder(WEIGHTS, _image_encoder(work))


def _export(work: Work) -> None:
    if not work.took(JUDGE):
        export.export_judge(WEIGHTS, _judge(work))
    _export_image_encoder(work)
    _export_base(work)
    _export_plus(work)
    _export_control(work)
    _export_sibling(work)
    _export_face_pack(work)
    _export_face_adapter(work)


def _export_base(work: Work) -> None:
    export.export_base(WEIGHTS, _base(work), _autoencoder(work), work.earlier)
    export.export_adapter(WEIGHTS, _adapter(work), work.earlier)


def _export_plus(work: Work) -> None:
    export.export_plus_adapter(WEIGHTS, _plus_adapter(work))


def _export_control(work: Work) -> None:
    export.export_control_lora(WEIGHTS, _control_lora(work))
    export.export_t2i_adapter(WEIGHTS, _t2i_adapter(work))
    export.export_lora(WEIGHTS, _lora(work))


def _export_sibling(work: Work) -> None:
    export.export_sibling(WEIGHTS, _base(work).unet, _sibling(work).unet)


def _export_face_pack(work: Work) -> None:
    """The adapter reads faces through the exported files, as users do."""
    if not work.took(str(FACE_PACK)):
        export.export_face_pack(WEIGHTS, _face_detector(work), _face_recogniser(work))


def _export_face_adapter(work: Work) -> None:
    export.export_face_adapter(WEIGHTS, _face_adapter(work))


STAGES: dict[str, _Stage] = {
    "autoencoder": _autoencoder,
    "teacher": _teacher,
    "judge": _judge,
    "image_encoder": _image_encoder,
    "export_image_encoder": _export_image_encoder,
    "text_to_image": _text_to_image,
    "first_adapter": _first_adapter,
    "with_pictures": _with_pictures,
    "adapter": _adapter,
    "export_base": _export_base,
    "plus_adapter": _plus_adapter,
    "export_plus": _export_plus,
    "control_lora": _control_lora,
    "t2i_adapter": _t2i_adapter,
    "lora": _lora,
    "export_control": _export_control,
    "sibling": _sibling,
    "export_sibling": _export_sibling,
    "face_detector": _face_detector,
    "face_recogniser": _face_recogniser,
    "export_face_pack": _export_face_pack,
    "face_adapter": _face_adapter,
    "export_face_adapter": _export_face_adapter,
    "export": _export,
}


# What does not stand on the base: with an earlier version there is nothing to train.
_BEFORE = "autoencoder teacher judge image_encoder text_to_image first_adapter face_detector face_recogniser"
TAKEN_AS_THEY_ARE = set(_BEFORE.split())


def main(arguments: Sequence[str]) -> None:
    """Runs one stage, and before it whatever it needs that is not finished."""
    parser = argparse.ArgumentParser(prog="run.py dev demo-weights", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument(
        "--folder", type=Path, required=True, help="where checkpoints are kept; a new one for every version"
    )
    parser.add_argument("--earlier", type=Path, help="a copy of the weights to go on with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="how many processes train together")
    parser.add_argument("--rank", type=int, default=0, help="which of them this one is, from 0")
    parser.add_argument("--meet", type=Path, default=Path("meeting-point"), help="a new file where they meet")
    options = parser.parse_args(arguments)
    if options.earlier and options.earlier.resolve() == WEIGHTS.resolve():
        parser.error(f"--earlier: expected a copy, got {WEIGHTS}, which the stages write to. Copy it first.")
    if options.earlier and options.stage in TAKEN_AS_THEY_ARE:
        parser.error(f"--earlier takes what {options.stage} makes as it is. Leave out one of the two.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)  # the host sets it up, too
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    parallel.join(options.rank, options.processes, options.meet)
    STAGES[options.stage](Work(options.folder, options.earlier))
