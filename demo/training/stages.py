"""The stages of the demo training, in order, each resumable and each runnable alone."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from ..files import WEIGHTS
from . import adapter, autoencoder, classifier, export, image_encoder, latents, parallel, text_to_image

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


def _adapter(folder: Path) -> adapter.TrainableAdapter:
    return adapter.train(folder, _text_to_image(folder), _image_encoder(folder), _pool(folder))


def _export(folder: Path) -> None:
    export.export_judge(WEIGHTS, _judge(folder))
    export.export_image_encoder(WEIGHTS, _image_encoder(folder))
    export.export_base(WEIGHTS, _text_to_image(folder), autoencoder.train(folder))
    export.export_adapter(WEIGHTS, _adapter(folder))


STAGES: dict[str, _Stage] = {
    "autoencoder": autoencoder.train,
    "teacher": _teacher,
    "judge": _judge,
    "image_encoder": _image_encoder,
    "text_to_image": _text_to_image,
    "adapter": _adapter,
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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    parallel.join(options.rank, options.processes, options.meet)
    STAGES[options.stage](options.folder)
