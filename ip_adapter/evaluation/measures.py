"""What is measured of pictures: one number for each, or what it lacks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from ...models.shapes import Float
from ..faces.analysis import largest_face
from ..faces.detection import FaceAnalyser
from ..prompts.encoder import ImageEncoder
from ..training.pictures import centre_crop
from .cases import EvalSample, read_case
from .metrics import clip_i, clip_t


@dataclass(frozen=True)
class Lacking:
    """Why there is no number: what is missing, and the picture or reference in which it is."""

    what: str
    where: str


@dataclass(frozen=True)
class Metric:
    """A column of the table: its name, the file or pack that measures, and a number for a case."""

    name: str
    by: str
    of: Callable[[EvalSample], float | Lacking]


@dataclass(frozen=True)
class Score:
    """What the measures say of one picture, by their names."""

    case: EvalSample
    values: dict[str, float | Lacking]


def measured(cases: Sequence[EvalSample], measures: Sequence[Metric]) -> list[Score]:
    """Raises SettingError for a picture that cannot be read."""
    return [Score(case, {measure.name: measure.of(case) for measure in measures}) for case in cases]


Embedding = Callable[[Path], Float[Tensor, "1 width"]]


def embeddings(encoder: ImageEncoder) -> Embedding:
    """The image embedding of the middle of a picture in a file, computed once for each."""

    @cache
    def embedding(file: Path) -> Tensor:
        return encoder.encode(centre_crop(read_case(file), encoder.size)).pooled

    return embedding


def image_prompt_similarity(embedding: Embedding, by: str) -> Metric:
    """CLIP-I of every picture and its reference."""

    def of(case: EvalSample) -> float:
        return float(clip_i(embedding(case.made), embedding(case.reference.path)))

    return Metric("CLIP-I", by, of)


def text_prompt_similarity(embedding: Embedding, text: Callable[[str], Float[Tensor, "1 width"]], by: str) -> Metric:
    """CLIP-T of every picture and the caption of its reference, whether it was drawn with that text or not."""
    cached = cache(text)

    def of(case: EvalSample) -> float | Lacking:
        reference = case.reference
        if not reference.caption:
            return Lacking("caption", f"{reference.name} (reference)")
        return float(clip_t(embedding(case.made), cached(reference.caption)))

    return Metric("CLIP-T", by, of)


def face_similarity(analyser: FaceAnalyser, by: str) -> Metric:
    """Cosine of the recogniser's embeddings of the largest face in a picture and the largest in its reference.

    In [-1, 1]. Where one of the two shows no face there is no number, neither 0 nor another.
    """

    @cache
    def face(file: Path) -> Tensor | None:
        faces = largest_face(analyser, read_case(file))
        return None if faces is None else faces.normed[0]

    def of(case: EvalSample) -> float | Lacking:
        made, wanted = face(case.made), face(case.reference.path)
        if wanted is None:
            return Lacking("face", f"{case.reference.name} (reference)")
        return Lacking("face", case.name) if made is None else float(made @ wanted)

    return Metric("face similarity", by, of)
