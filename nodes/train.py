"""Training a small adapter inside the host."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.tasks import small_training as host
from ..ip_adapter.tasks.training import HostCheckpoint
from ..ip_adapter.training.config import CELL, Precision
from ..models import TRAINABLE
from ..models.facts import Kind
from . import sockets


class TrainingPictures(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TrainingPictures",
            display_name="Training Pictures",
            category=sockets.TRAINING,
            description="Gathers pictures with captions for Train IP-Adapter: images, a folder, or both.",
            is_input_list=True,
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=host.input_folders(),
                    default=host.NO_FOLDER,
                    tooltip="A folder below ComfyUI's input folder: pictures, each with its caption in a .txt file of "
                    "the same name or all in metadata.jsonl; or WebDataset shards (.tar); or Parquet files.",
                ),
                io.Image.Input(
                    "images", optional=True, tooltip="Pictures: one, a batch, or a list of different sizes."
                ),
                io.String.Input(
                    "captions",
                    optional=True,
                    force_input=True,
                    tooltip="A list with the caption of each of the images, or one text for all. Without it they train "
                    "with an empty text.",
                ),
            ],
            outputs=[
                sockets.TrainingPictures.Output(display_name="pictures", tooltip="For Train IP-Adapter."),
                io.String.Output(display_name="report", tooltip="How many there are, and how many without a caption."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: list[str], **others: Any) -> Any:
        return host.folder_stamp(folder[0])

    @classmethod
    def execute(cls, folder: list[str], images: Any = (), captions: Any = ()) -> io.NodeOutput:
        found = host.training_pictures(images or (), captions or (), folder[0])
        return io.NodeOutput(found, str(found))


class TrainIPAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TrainIPAdapter",
            display_name="Train IP-Adapter",
            category=sockets.TRAINING,
            description="Trains an adapter for the connected models by the paper's recipe, and saves it to "
            "output/ipadapter, where Load IP-Adapter finds it. Cancelling leaves nothing behind. For long trainings, "
            "which can be stopped and go on, use 'run.py train'.",
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="What it is trained on: SD 1.5, 2 or XL, with its LoRAs. It is not changed. Other adapters "
                    "and patches on the wire are left out.",
                ),
                io.Clip.Input("clip", tooltip="The text encoder of the model, for the captions."),
                io.Vae.Input("vae", tooltip="The autoencoder of the model, for the pictures."),
                sockets.TrainingPictures.Input("pictures", tooltip="From Training Pictures."),
                io.Combo.Input(
                    "kind",
                    options=[kind.value for kind in TRAINABLE],
                    default=Kind.STANDARD.value,
                    tooltip="standard: 4 tokens of the whole picture. plus: 16 tokens that see details. full-face: "
                    "every patch a token. The faceid kinds read faces; connect face_analysis.",
                ),
                io.Int.Input("steps", default=500, min=1, max=1_000_000, tooltip="Steps of the optimiser."),
                io.Int.Input("batch", default=8, min=1, max=1024, tooltip="Pictures in a step."),
                io.Float.Input(
                    "learning_rate",
                    default=1e-4,
                    min=1e-7,
                    max=0.1,
                    step=1e-6,
                    round=1e-7,
                    tooltip="Of AdamW; 0.0001 is the paper's. Short trainings can take ten times as much.",
                ),
                io.Int.Input(
                    "resolution",
                    default=512,
                    min=CELL,
                    max=2048,
                    step=CELL,
                    tooltip="Side in pixels to which pictures are scaled and cropped: 512 for SD 1.5, 1024 for SDXL.",
                ),
                io.Int.Input(
                    "held_out",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip="How many pictures, drawn by the seed, are measured and not trained on. They tell whether "
                    "the adapter learns or only remembers.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**53 - 1,
                    tooltip="Of noise, order and start. On the CPU the same seed gives the same file.",
                ),
                io.String.Input(
                    "name", default="trained", tooltip="The file's name; a number and an ending are added."
                ),
                io.ClipVision.Input(
                    "clip_vision", optional=True, tooltip="The image encoder, for every kind but faceid and portrait."
                ),
                sockets.FaceAnalysis.Input(
                    "face_analysis", optional=True, tooltip="From Load Face Analysis, for the faceid kinds."
                ),
                sockets.IPAdapter.Input(
                    "ip_adapter", optional=True, tooltip="An adapter of the same kind to start from; it is not changed."
                ),
                io.Combo.Input(
                    "precision",
                    options=[precision.value for precision in host.PRECISIONS],
                    default=Precision.FLOAT32.value,
                    optional=True,
                    tooltip="What the model computes in. bfloat16 takes half the memory; what learns stays float32.",
                ),
                io.Boolean.Input(
                    "recompute",
                    default=False,
                    optional=True,
                    tooltip="Takes less memory and about a third more time.",
                ),
            ],
            outputs=[
                sockets.IPAdapter.Output(display_name="ip_adapter", tooltip="The trained adapter, for Apply nodes."),
                io.Image.Output(display_name="curve", tooltip="The loss over the steps, also of held-out pictures."),
                io.String.Output(display_name="report", tooltip="Where the file is, which pictures were used, losses."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        pictures: Any,
        kind: str,
        steps: int,
        batch: int,
        learning_rate: float,
        resolution: int,
        held_out: int,
        seed: int,
        name: str,
        clip_vision: Any = None,
        face_analysis: Any = None,
        ip_adapter: Any = None,
        precision: str = Precision.FLOAT32.value,
        recompute: bool = False,
    ) -> io.NodeOutput:
        wires = host.Wires(HostCheckpoint(model, clip, vae), clip_vision, face_analysis, ip_adapter)
        options = host.TrainOptions(kind, steps, batch, learning_rate, resolution, held_out, seed, precision, recompute)
        return io.NodeOutput(*host.train(wires, pictures, name, options))


NODES = [TrainingPictures, TrainIPAdapter]
