"""From photographs to faces, and faces on the disk."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.faces.analysis import FaceAnalysisOptions, Missing
from ..ip_adapter.faces.selection import Which
from ..ip_adapter.faces.similarity import SimilarityOf, compare
from ..ip_adapter.host import faces as host
from . import sockets
from .schema import also_found_as


class LoadFaceAnalysis(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadFaceAnalysis",
            display_name="Load Face Analysis",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter InsightFace Loader", "insightface", "buffalo_l", "antelopev2"),
            description="Loads a face detector and a face recogniser. Needs onnxruntime, and a pack of models in "
            "models/insightface/models: buffalo_l for FaceID adapters, antelopev2 for Kolors. Nothing is downloaded.",
            inputs=[
                io.Combo.Input(
                    "pack",
                    options=host.packs(),
                    default="auto",
                    tooltip="A folder below models/insightface. auto takes buffalo_l, or the first one there is. The "
                    "recogniser must be the one that the adapter was trained with.",
                ),
                io.Combo.Input(
                    "provider",
                    options=host.providers(),
                    default="auto",
                    tooltip="What the models run on, of what the installed onnxruntime offers.",
                ),
            ],
            outputs=[sockets.FaceAnalysis.Output(display_name="face_analysis", tooltip="For Analyze Faces.")],
        )

    @classmethod
    def fingerprint_inputs(cls, pack: str, provider: str) -> Any:
        return host.pack_stamp(pack)

    @classmethod
    def execute(cls, pack: str, provider: str) -> io.NodeOutput:
        return io.NodeOutput(host.load_analysis(pack, provider))


class AnalyzeFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnalyzeFaces",
            display_name="Analyze Faces",
            category=sockets.CATEGORY,
            **also_found_as("face detection", "insightface", "crop face"),
            description="Finds faces in photographs, one or many of any sizes, and turns the chosen ones into FACES.",
            is_input_list=True,
            inputs=[
                sockets.FaceAnalysis.Input("face_analysis", tooltip="From Load Face Analysis."),
                io.Image.Input("image", tooltip="Photographs: one, a batch, or a list of different sizes."),
                io.Combo.Input(
                    "which",
                    options=[which.value for which in Which],
                    default=Which.LARGEST.value,
                    tooltip="The order in which the faces of a picture are numbered; one of them is taken, or all.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=255,
                    tooltip="Which face in that order, 0 is the first. The second output shows the numbers.",
                ),
                io.Int.Input(
                    "size",
                    default=640,
                    min=64,
                    max=4096,
                    step=32,
                    tooltip="Pixels of the longer side when the detector looks. Larger finds smaller faces. When there "
                    "is none, it looks again at smaller sizes, and with a margin for close-ups.",
                ),
                io.Float.Input(
                    "confidence",
                    default=0.5,
                    min=0.05,
                    max=0.95,
                    step=0.05,
                    tooltip="How sure the detector must be.",
                ),
                io.Combo.Input(
                    "missing",
                    options=[missing.value for missing in Missing],
                    default=Missing.ERROR.value,
                    tooltip="A picture without that face: error stops, skip leaves the picture out, neutral puts a "
                    "face that says nothing in its place.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Only faces count whose middle lies in the mask; any size."
                ),
            ],
            outputs=[
                sockets.Faces.Output(display_name="faces", tooltip="The chosen faces, for Apply FaceID."),
                io.Image.Output(display_name="crops", tooltip="The chosen faces, upright, as FaceID Plus sees them."),
                io.Image.Output(
                    display_name="drawn",
                    is_output_list=True,
                    tooltip="The pictures with boxes, points and numbers; chosen faces are green.",
                ),
                io.String.Output(display_name="report", tooltip="What was found and used, a line for each picture."),
            ],
        )

    @classmethod
    def execute(
        cls,
        face_analysis: Any,
        image: Any,
        which: list[str],
        index: list[int],
        size: list[int],
        confidence: list[float],
        missing: list[str],
        mask: Any = (),
    ) -> io.NodeOutput:
        options = FaceAnalysisOptions(Which(which[0]), index[0], size[0], confidence[0], Missing(missing[0]))
        return io.NodeOutput(*host.analyse_faces(face_analysis[0], image, mask, options))


class SaveFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveFaces",
            display_name="Save Faces",
            category=sockets.CATEGORY,
            **also_found_as("save face embeds"),
            description="Writes faces to a file in output/faces, with their crops and the name of the recogniser.",
            is_output_node=True,
            inputs=[
                sockets.Faces.Input("faces", tooltip="From Analyze Faces."),
                io.String.Input("name", default="face", tooltip="The file's name; a number and an ending are added."),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
        )

    @classmethod
    def execute(cls, faces: Any, name: str) -> io.NodeOutput:
        return io.NodeOutput(host.save(faces, name))


class LoadFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadFaces",
            display_name="Load Faces",
            category=sockets.CATEGORY,
            **also_found_as("load face embeds"),
            description="Reads faces from a file of Save Faces, or raw embeddings that another program has made: "
            "tensors 'embeddings' (n, 512) and, optionally, 'points' (n, 5, 2).",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=host.SAVED.listed(),
                    tooltip="A file in the folder faces of the output or input folder.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Only for embeddings of other programs: the pictures they were made from, one for each or "
                    "one for all. FaceID Plus needs to see the face; it is cut out by the points.",
                ),
            ],
            outputs=[sockets.Faces.Output(display_name="faces", tooltip="For Apply FaceID.")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **others: Any) -> Any:
        return host.SAVED.stamp(file)

    @classmethod
    def execute(cls, file: str, image: Any = None) -> io.NodeOutput:
        return io.NodeOutput(host.load(file, image))


class FaceSimilarity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FaceSimilarity",
            display_name="Face Similarity",
            category=sockets.CATEGORY,
            **also_found_as("face distance", "compare faces"),
            description="How alike faces are to the recogniser: the cosine of their embeddings, 1 for the same.",
            inputs=[
                sockets.Faces.Input("faces_a", tooltip="One group of faces: the rows of the table."),
                sockets.Faces.Input("faces_b", tooltip="Another one of the same recogniser: the columns."),
                io.Combo.Input(
                    "measure",
                    options=[measure.value for measure in SimilarityOf],
                    default=SimilarityOf.BEST.value,
                    tooltip="One number for all pairs: the best, or their mean.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="similarity", tooltip="From -1 to 1."),
                io.String.Output(display_name="table", tooltip="Every pair, for Preview as Text."),
            ],
        )

    @classmethod
    def execute(cls, faces_a: Any, faces_b: Any, measure: str) -> io.NodeOutput:
        return io.NodeOutput(*compare(faces_a, faces_b, SimilarityOf(measure)))


NODES = [LoadFaceAnalysis, AnalyzeFaces, SaveFaces, LoadFaces, FaceSimilarity]
