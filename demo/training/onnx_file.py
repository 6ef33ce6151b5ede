"""Networks as ONNX files of half the size: weights in half precision, widened when the file is opened."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .face_networks import example
from .run import Recipe

OPSET = 13
SMALL = 64  # tensors of no more numbers stay as they are: a node that widens them is as large
log = logging.getLogger("demo.training")


def save_onnx(path: Path, model: nn.Module, recipes: dict[str, Recipe], **facts: str) -> None:
    """Writes a trained network with its recipe in the metadata; batch normalisation becomes a part of convolutions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's other exporter needs a package of its own
        torch.onnx.export(model.eval(), (example(model),), path, opset_version=OPSET, dynamo=False)
    content = onnx.load(path)
    _halve(content.graph)
    metadata = facts | {f"recipe.{name}": json.dumps(asdict(recipe)) for name, recipe in recipes.items()}
    helper.set_model_props(content, metadata)
    onnx.checker.check_model(content)
    onnx.save(content, path)
    log.info("wrote %s (%.0f kB)", path, path.stat().st_size / 1e3)


def _halve(graph: onnx.GraphProto) -> None:
    casts: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        numbers = numpy_helper.to_array(tensor)
        if numbers.dtype != numpy.float32 or numbers.size <= SMALL:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numbers.astype(numpy.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
