"""The demo family's faces in our own nodes, in this process: photographs and numbers in, a model that draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
from torch import Tensor

from ..ip_adapter.host.faces import register_folder
from ..nodes.apply import ApplyFaceID
from ..nodes.face import AnalyzeFaces, LoadFaceAnalysis
from ..nodes.load import LoadIPAdapter
from .files import FACE_PACK, WEIGHTS
from .studio import Studio


@dataclass(frozen=True)
class FaceWeights:
    """The numbers on Apply FaceID."""

    weight: float = 1.0
    structure_weight: float = 1.0
    lora_weight: float = 1.0


class FaceStudio(Studio):
    """The studio with the FaceID adapter and the pack of face models."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__(weights)
        register_folder()
        folder_paths.add_model_folder_path("insightface", str(weights / FACE_PACK.parts[0]))
        (self.analysis,) = LoadFaceAnalysis.execute(FACE_PACK.name, "auto").result
        (self.face_adapter,) = LoadIPAdapter.execute("demo_faceid.safetensors", "auto").result

    def faces(self, images: Tensor, missing: str = "error") -> Any:
        """FACES of photographs, the largest of each host IMAGE."""
        options: dict[str, Any] = {
            "which": ["largest"],
            "index": [0],
            "size": [640],
            "confidence": [0.5],
            "missing": [missing],
        }
        return AnalyzeFaces.execute([self.analysis], [images], **options).result[0]

    def with_faces(self, faces: Any, weights: FaceWeights) -> Any:
        """The model following FACES."""
        settings: dict[str, Any] = {**vars(weights), "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"}
        return ApplyFaceID.execute(self.model, self.face_adapter, faces, clip_vision=self.encoder, **settings).result[0]
