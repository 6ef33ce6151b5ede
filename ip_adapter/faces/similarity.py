"""How alike faces are to a recogniser: the cosine of their embeddings."""

from torch import Tensor

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import FaceError
from .face import Faces


class SimilarityOf(NamedEnum):
    """One number for two groups of faces."""

    BEST = "best"  # of all pairs
    MEAN = "mean"  # over all pairs


def compare(first: Faces, second: Faces, measure: SimilarityOf) -> tuple[float, str]:
    """The measure, from -1 to 1, and a table of all pairs: a row for each face of the first, a column of the second.

    Neutral faces are left out. Raises FaceError when nothing else is left, or when two recognisers are known to differ.
    """
    if first.recogniser.differs_from(second.recogniser):
        raise FaceError(
            f"Expected faces of one recogniser, got {first.recogniser.name} and {second.recogniser.name}, whose "
            "embeddings cannot be compared. Analyze both with the same pack."
        )
    rows, columns = _found(first), _found(second)
    cosines = first.normed[rows] @ second.normed[columns].T
    number = float({SimilarityOf.BEST: cosines.amax, SimilarityOf.MEAN: cosines.mean}[measure]())
    return number, _table(_names("a", first, rows), _names("b", second, columns), cosines)


def _found(faces: Faces) -> list[int]:
    found = [index for index, face in enumerate(faces.members) if face.found]
    if not found:
        raise FaceError("There is no face to compare, only neutral ones. Use pictures in which faces are found.")
    return found


def _names(group: str, faces: Faces, found: list[int]) -> list[str]:
    return [f"{group}{index} (picture {faces.members[index].picture + 1})" for index in found]


def _table(rows: list[str], columns: list[str], cosines: Float[Tensor, "rows columns"]) -> str:
    width = max(map(len, (*rows, *columns)))
    lines = [["", *columns]]
    lines += [[row, *(f"{value:.3f}" for value in values)] for row, values in zip(rows, cosines.tolist(), strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell in line) for line in lines)
