"""`run.py train`: an adapter from a TOML file."""

import logging
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import comfy.model_management

from ..ip_adapter.errors import AdapterError
from ..ip_adapter.faces.pack import Pack
from ..ip_adapter.library.inventory import load_adapter
from ..ip_adapter.tasks.readers import load_face_models, reader_for
from ..ip_adapter.tasks.training import (
    HostEncoders,
    is_on_cpu,
    job_of,
    load_checkpoint,
    load_clip_vision,
    load_packs,
    trainable_base,
)
from ..ip_adapter.training.config import FeatureCaching, TrainingConfig
from ..ip_adapter.training.loop import RESULT, Callbacks, Job, Outcome, Training, TrainingProgress, make_accelerator
from ..ip_adapter.training.pictures import DatasetReport
from ..ip_adapter.training.samples import Encoded, Samples, cached
from ..ip_adapter.training.sources import find_data
from ..ip_adapter.training.validation import Decode, Validation

FINISHED, ERROR, INTERRUPTED = 0, 1, 130
CACHE = "encoded"  # a folder in the output folder
EPILOG = """\
Ctrl-C saves and stops; the same command resumes from there. docs/training.md lists the settings.
exit status: 0 finished, 1 an error that is explained, 2 a wrong command line, 130 interrupted and saved
"""
log = logging.getLogger("ip_adapter.training")


class _Signals:
    """Whether somebody has asked to stop. A launcher that is interrupted asks twice."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True


def main(arguments: Sequence[str]) -> int:
    """Train as the TOML file says and return the exit status."""
    parser = ArgumentParser(
        "run.py train", description=__doc__, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    signals = _Signals()
    try:
        return _train(TrainingConfig.read(options.config), signals)
    except AdapterError as error:
        log.error("run.py train: %s", error)
        return ERROR
    except KeyboardInterrupt:
        log.error("Interrupted. What was encoded is kept; the same command resumes from there.")
        return INTERRUPTED


def _train(config: TrainingConfig, signals: _Signals) -> int:
    load_packs(config.custom_nodes)
    accelerator = make_accelerator(config, is_on_cpu())
    is_first = accelerator.is_main_process
    if not is_first:
        log.setLevel(logging.ERROR)
    job, account, decode = _job(config, accelerator, signals)
    training = Training(job, accelerator)
    log.info("Training from step %d to %d on %s.", training.step, config.steps, training.device)
    outcome = training.run(Callbacks(_report, lambda: signals.asked, _drawing(training, decode)))
    log.info("%s at step %d: %s", outcome.value.capitalize(), training.step, config.output / RESULT)
    log.info("%s.", account)
    return FINISHED if outcome is Outcome.FINISHED else INTERRUPTED


def _job(config: TrainingConfig, accelerator: Any, signals: _Signals) -> tuple[Job, DatasetReport, Decode]:
    loaded = load_checkpoint(config.base)
    vision = None if config.image_encoder is None else load_clip_vision(config.image_encoder)
    analyser = None if config.face_models is None else load_face_models(config.face_models)
    start = None if config.start is None else load_adapter(config.start)
    reader = reader_for(config.kind, vision, analyser)
    encoders = HostEncoders(loaded, reader, config.resolution, _identity(config))
    base = trainable_base(loaded.model.model, loaded.model.model.diffusion_model)
    with accelerator.main_process_first():
        samples, account = _samples(config, encoders, signals)
    job = job_of(base, encoders, samples, config, start)
    comfy.model_management.unload_all_models()
    return job, account, encoders.decode


def _drawing(training: Training, decode: Decode) -> Callable[[int], None]:
    """Draws the held-out pictures when it is their turn, in the first process."""
    job, every = training.job, training.config.draw_every
    if job.held_out is None or not every or not training.accelerator.is_main_process:
        return lambda _: None
    validation, adapter = Validation(job.base, job.held_out, job.nothing, decode), training.objective.adapter

    def draw(step: int) -> None:
        if step % every == 0 or step == training.config.steps:
            training.tracking.show(validation.save(adapter, training.config.output, step), step)

    return draw


def _identity(config: TrainingConfig) -> str:
    """Changes when what a picture is encoded by does."""
    faces = [] if config.face_models is None else Pack(config.face_models.name, config.face_models).files
    files = [config.base, *([] if config.image_encoder is None else [config.image_encoder]), *faces]
    stamps = [(path.name, path.stat()) for path in files]
    told = " ".join(f"{name} {facts.st_size} {facts.st_mtime_ns}" for name, facts in stamps)
    return f"{told} {config.kind.value} {config.resolution}"


def _samples(config: TrainingConfig, encoders: HostEncoders, signals: _Signals) -> tuple[Samples, DatasetReport]:
    pictures, account = find_data(config.data, config.output / CACHE)

    def tick(done: int, total: int) -> None:
        if signals.asked:
            raise KeyboardInterrupt
        if done % 100 == 0 or done == total:
            log.info("Encoded %d of %d pictures.", done, total)

    if config.features is FeatureCaching.ON_THE_FLY:
        samples: Samples = Encoded(pictures, encoders, account)
    else:
        samples = cached(pictures, encoders, config.output / CACHE, account, tick)
    account.used = len(samples)
    return samples, account


def _report(progress: TrainingProgress) -> None:
    point, minutes = progress.point, progress.seconds_left / 60
    measured = "" if point.held_out is None else f", held-out {point.held_out:.4f}"
    log.info("Step %d of %d: loss %.4f%s, %.1f minutes left", point.step, progress.steps, point.loss, measured, minutes)
