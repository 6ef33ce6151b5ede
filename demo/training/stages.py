"""The stages of the demo training, in order, each resumable and each runnable alone."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from ...ip_adapter.training.trainable import TrainableAdapter
from ..files import WEIGHTS
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
    t2i_adapter,
    text_to_image,
)

_Stage = Callable[[Path], object]


def _teacher(folder: Path) -> classifier.AttributeClassifier:
    return classifier.train("teacher", classifier.TEACHER, folder)


def _judge(folder: Path) -> classifier.AttributeClassifier:
    return classifier.train("judge", classifier.JUDGE, folder, autoencoder.train(folder))


def _image_encoder(folder: Path) -> nn.Module:
    return image_encoder.train(folder, _teacher(folder))


def _pool(folder: Path) -> latents.Pool:
    return latents.load_pool(folder, autoencoder.train(folder))


def _text_to_image(folder: Path) -> text_to_image.TextToImage:
    return text_to_image.train(folder, _pool(folder))


def _adapter(folder: Path) -> TrainableAdapter:
    return adapter.train(folder, _text_to_image(folder), _image_encoder(folder), _pool(folder))


def _plus_adapter(folder: Path) -> TrainableAdapter:
    return plus_adapter.train(folder, _text_to_image(folder), _pool(folder))


def _control_lora(folder: Path) -> control_lora.TrainableControl:
    return control_lora.train(folder, _text_to_image(folder), _pool(folder))


def _t2i_adapter(folder: Path) -> nn.Module:
    return t2i_adapter.train(folder, _text_to_image(folder), _pool(folder))


def _lora(folder: Path) -> lora.TrainableLora:
    return lora.train(folder, _text_to_image(folder), _pool(folder), autoencoder.train(folder))


def _face_adapter(folder: Path) -> face_adapter.TrainableFaceAdapter:
    references = face_references.load_references(folder, face_recogniser.train(folder))
    return face_adapter.train(folder, _text_to_image(folder), _adapter(folder), references, _pool(folder))


def _export(folder: Path) -> None:
    export.export_judge(WEIGHTS, _judge(folder))
    export.export_image_encoder(WEIGHTS, _image_encoder(folder))
    export.export_base(WEIGHTS, _text_to_image(folder), autoencoder.train(folder))
    export.export_adapter(WEIGHTS, _adapter(folder))
    _export_plus(folder)
    _export_control(folder)
    _export_faces(folder)


def _export_plus(folder: Path) -> None:
    export.export_plus_adapter(WEIGHTS, _plus_adapter(folder))


def _export_control(folder: Path) -> None:
    export.export_control_lora(WEIGHTS, _control_lora(folder))
    export.export_t2i_adapter(WEIGHTS, _t2i_adapter(folder))
    export.export_lora(WEIGHTS, _lora(folder))


def _export_faces(folder: Path) -> None:
    export.export_face_pack(WEIGHTS, face_detector.train(folder), face_recogniser.train(folder))
    export.export_face_adapter(WEIGHTS, _face_adapter(folder))


STAGES: dict[str, _Stage] = {
    "autoencoder": autoencoder.train,
    "teacher": _teacher,
    "judge": _judge,
    "image_encoder": _image_encoder,
    "text_to_image": _text_to_image,
    "adapter": _adapter,
    "plus_adapter": _plus_adapter,
    "export_plus": _export_plus,
    "control_lora": _control_lora,
    "t2i_adapter": _t2i_adapter,
    "lora": _lora,
    "export_control": _export_control,
    "face_detector": face_detector.train,
    "face_recogniser": face_recogniser.train,
    "face_adapter": _face_adapter,
    "export_faces": _export_faces,
    "export": _export,
}


def main(arguments: Sequence[str]) -> None:
    """Runs one stage, and before it whatever it needs that is not finished."""
    parser = argparse.ArgumentParser(prog="run.py demo-weights", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints are kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="how many processes train together")
    parser.add_argument("--rank", type=int, default=0, help="which of them this one is, from 0")
    parser.add_argument("--meet", type=Path, default=Path("meeting-point"), help="a new file where they meet")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)  # the host sets it up, too
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    parallel.join(options.rank, options.processes, options.meet)
    STAGES[options.stage](options.folder)
