"""`run.py evaluate` on the demo world: it knows the demo family, and counts the attributes that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from torch import Tensor

from ..cli import evaluate as evaluate_command
from ..ip_adapter.evaluation.cases import EvalSample, read_case
from ..ip_adapter.evaluation.measures import Metric
from ..ip_adapter.training.pictures import centre_crop
from . import clip_vision, model
from .files import WEIGHTS
from .judge import JUDGE, load_judge, read_labels


def attribute_agreement(weights: Path = WEIGHTS) -> Metric:
    """The share of the attributes that the judge reads alike in a picture and in its reference, from 0 to 1."""
    judge = load_judge(weights)

    @cache
    def labels(file: Path) -> Tensor:
        picture = read_case(file)
        return read_labels(judge, centre_crop(picture, min(picture.shape[-2:])))

    def of(case: EvalSample) -> float:
        return float((labels(case.made) == labels(case.reference.path)).float().mean())

    return Metric("attributes", JUDGE, of)


def main(arguments: Sequence[str]) -> int:
    """Evaluates as the command line says, and returns the exit status."""
    for part in (model, clip_vision):
        part.register()
    return evaluate_command.main(arguments, [attribute_agreement()])
