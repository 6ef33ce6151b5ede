"""Trains and measures everything, and writes tables and pictures; each part is kept in the folder and resumed."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...judge import load_judge
from ...measure import grid
from . import balance, report, sibling
from .measured import Scores, scored
from .shipped_adapter import PLUS, STANDARD, load_adapter
from .trained import SEEDS, World, load_world, trained
from .variants import VARIANTS, Variant, size

_COLUMNS = 12
SHIPPED = (STANDARD, PLUS)
Tensors = dict[str, Tensor]


def _kept(file: Path, make: Callable[[], Tensors]) -> Tensors:
    if not file.exists():
        save_file({name: tensor.contiguous() for name, tensor in make().items()}, file)
    return load_file(file)


def _scores(variant: Variant, seed: int, world: World, folder: Path) -> Scores:
    def make() -> Tensors:
        return _tensors(scored(world, trained(world, variant, seed, folder), variant, load_judge()))

    return Scores(**_kept(folder / f"{variant.slug}-{seed}.scores.safetensors", make))


def _shipped(which: Variant, world: World, folder: Path) -> Scores:
    def make() -> Tensors:
        return _tensors(scored(world, load_adapter(world.base, which=which), which, load_judge()))

    return Scores(**_kept(folder / f"{which.slug}.scores.safetensors", make))


def _tensors(scores: Scores) -> Tensors:
    return {field.name: getattr(scores, field.name) for field in fields(Scores)}


def _balance(world: World, folder: Path) -> balance.Balance:
    make = partial(balance.measured, world, load_judge())
    return balance.Balance(_kept(folder / "balance.safetensors", lambda: make().curves))


def _siblings(world: World, folder: Path) -> Tensors:
    return _kept(folder / "sibling.safetensors", partial(sibling.draw_both, world))


def _parts(seeds: Iterable[int]) -> list[Callable[[World, Path], object]]:
    runs = [partial(_scores, variant, seed) for seed in seeds for variant in VARIANTS]
    return [_balance, _siblings, *runs, *(partial(_shipped, which) for which in SHIPPED)]


def _write(world: World, folder: Path, seeds: Sequence[int]) -> None:
    results = {variant: [_scores(variant, seed, world, folder) for seed in seeds] for variant in VARIANTS}
    results |= {which: [_shipped(which, world, folder)] for which in SHIPPED}
    learned = {variant: size(variant.build(world.base.unet)) for variant in results}
    curves, pictures = _balance(world, folder), _siblings(world, folder)
    texts = [
        report.table(results, learned),
        sibling.table(world, pictures, load_judge()),
        balance.table(curves),
    ]
    report.pictures(results, world.cases).save(folder / "variants.png")
    grid([pictures[name] for name in sibling.CONDITIONS[:-1]], _COLUMNS).save(folder / "sibling.png")
    balance.plot(curves).save(folder / "balance.png")
    text = "\n".join(texts)
    (folder / "results.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def main(arguments: Sequence[str]) -> None:
    """One thread in each of several processes trains more than several threads in one."""
    parser = argparse.ArgumentParser(prog="run.py dev demo-ablations", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints, scores and results are kept")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many of each variant are trained")
    parser.add_argument("--workers", type=int, default=2, help="processes that train at the same time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)  # the host sets it up, too
    options.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    seeds = SEEDS[: options.seeds]
    if options.worker is not None:
        world = load_world(options.folder)
        for part in _parts(seeds)[options.worker :: options.workers]:
            part(world, options.folder)
        return
    command = [sys.executable, *sys.argv]
    workers = [subprocess.Popen([*command, "--worker", str(number)]) for number in range(options.workers)]
    failed = [worker.wait() for worker in workers]
    if any(failed):
        raise SystemExit("A worker failed; its message stands above.")
    _write(load_world(options.folder), options.folder, seeds)
