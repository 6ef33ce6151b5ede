"""What the host knows of the rows that it shows the model: on which side each stands, and which part it sees.

The attention is told neither; it is noted on the way there, in wrappers around the guider and its conditionings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..attention.key_value import NEGATIVE, POSITIVE
from ..attention.region import WHOLE, Window
from ..errors import SettingError
from .capabilities import anchor_frame
from .model import HostNetwork

NOTES = "ip_adapter_nodes_notes"  # our notes in the host's transformer_options, until the model is called
Conditioning = Mapping[str, Any]


@dataclass(frozen=True)
class Notes:
    """What is known so far; `sides` has one entry per list of conditionings that is evaluated together."""

    given: Mapping[Any, int]  # uuid -> side, of what the guider was given
    sides: tuple[int, ...]
    areas: Mapping[Any, Window]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Notes":
        return options.get(NOTES, _NOTHING)

    def rows(self, options: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[Window, ...]]:
        """The side and the window of every chunk of a batch."""
        lists = tuple(options.get("cond_or_uncond") or (0,))
        uuids = options.get("uuids") or (None,) * len(lists)
        sides = self.sides or tuple(side_of_index(index) for index in range(max(lists) + 1))
        return tuple(sides[index] for index in lists), tuple(self.areas.get(uuid, WHOLE) for uuid in uuids)


_NOTHING = Notes({}, (), {})


def side_of_index(index: int) -> int:
    """The side of a list of conditionings of which only the host's number is known: the second is the negative one."""
    return NEGATIVE if index == 1 else POSITIVE


def side_of(conditioning: Conditioning, name: str) -> int:
    """The side of a conditioning that a guider has under this name, by the host's own rule.

    DualCFG's middle and PerpNeg's empty conditioning are marked as negative by their guiders, and diffusers gives the
    middle one of InstructPix2Pix the negative pictures as well. Source:
    https://github.com/comfyanonymous/ComfyUI/blob/v0.3.75/comfy/samplers.py#L700
    """
    return NEGATIVE if conditioning.get("prompt_type", name) == "negative" else POSITIVE


def note_guider(executor: Any, x: Tensor, timestep: Tensor, model_options: Any, *arguments: Any, **extra: Any) -> Any:
    """Wrapper around one prediction of a guider: notes the side of every conditioning that it was given."""
    lists: Mapping[str, Sequence[Conditioning]] = getattr(executor.class_obj, "original_conds", {})
    given = {cond["uuid"]: side_of(cond, name) for name, conds in lists.items() for cond in conds if "uuid" in cond}
    return executor(x, timestep, _noted(model_options, Notes(given, (), {})), *arguments, **extra)


def note_conditionings(
    executor: Any,
    model: HostNetwork,
    conds: Sequence[Any],
    x_in: Tensor,
    timestep: Tensor,
    model_options: dict[str, Any],
) -> Any:
    """Wrapper around lists of conditionings evaluated together: notes the side of each, and the parts they see."""
    given = Notes.of(model_options.get("transformer_options", {})).given
    sides = tuple(_side_of_list(index, listed or (), given) for index, listed in enumerate(conds))
    height, width = x_in.shape[-2:]
    areas = {
        cond["uuid"]: _window(cond["area"], height, width)
        for listed in conds
        for cond in listed or ()
        if cond.get("area") is not None and "uuid" in cond
    }
    return executor(model, conds, x_in, timestep, _noted(model_options, Notes(given, sides, areas)))


def _side_of_list(index: int, conds: Sequence[Conditioning], given: Mapping[Any, int]) -> int:
    if not given:
        return side_of_index(index)
    # The host appends to a list copies of other lists' conditionings that have an area: the first is always its own.
    own = (given[cond["uuid"]] for cond in conds if cond.get("uuid") in given)
    # What a guidance method adds of itself, as the older PerpNeg its empty text, is there to be led away from.
    return next(own, NEGATIVE)


def _noted(options: dict[str, Any], notes: Notes) -> dict[str, Any]:
    return {**options, "transformer_options": {**options.get("transformer_options", {}), NOTES: notes}}


def _window(area: Sequence[int], height: int, width: int) -> Window:
    """The host's area, sizes then offsets in latent pixels, as shares of the picture."""
    rows, columns, top, left = (*area[-4:],) if len(area) == 4 else (*area[1:3], *area[4:6])
    # The host narrows an area that reaches over the border.
    rows, columns = min(rows, height - top), min(columns, width - left)
    return top / height, left / width, rows / height, columns / width


def frames_of(options: Mapping[str, Any], rows: int) -> tuple[int, ...]:
    """The number of the frame in each row of a chunk: all of the batch, or those that a window shows.

    The host's context windows name their frames in `context_window`, AnimateDiff Evolved in `ad_params`.
    Raises SettingError where rows are no frames.
    """
    window, animate = options.get("context_window"), options.get("ad_params") or {}
    shown = animate.get("sub_idxs")
    if shown is None and window is not None and window.dim == 0:
        anchor = anchor_frame(window)
        shown = [*([] if anchor is None else [anchor]), *window.index_list]
    if shown is not None and len(shown) != rows:
        raise SettingError(
            f"Each row of the batch should be a frame, but the model is given {rows} rows for {len(shown)} frames. Use "
            "a schedule without frames here."
        )
    return tuple(range(rows)) if shown is None else tuple(int(frame) for frame in shown)
