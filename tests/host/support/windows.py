"""The host's own context windows over the frames of a batch."""

from collections.abc import Sequence
from typing import Any

from comfy import context_windows

from .calls import Call

# Host 0.3.75 indexes with lists; to be ignored where its windows are used.
DEPRECATED_INDEX = "ignore:Using a non-tuple sequence for multidimensional indexing:UserWarning"


class Windows(context_windows.IndexListContextHandler):
    def set_step(self, *arguments: Any) -> None:
        """Host 0.3.75 compares the noise levels of steps with those of frames here and fails; all else is its own."""


def windowed(model: Any, names: Sequence[str], length: int = 3, overlap: int = 1) -> Any:
    """A clone of the model that sees so many frames at once; the names are of a schedule of windows and a fusion."""
    clone = model.clone()
    clone.model_options["context_handler"] = Windows(
        context_schedule=context_windows.get_matching_context_schedule(names[0]),
        fuse_method=context_windows.get_matching_fuse_method(names[1]),
        context_length=length,
        context_overlap=overlap,
    )
    return clone


def shown(call: Call) -> list[int]:
    """The frames of a chunk's rows, as the host's window says; newer hosts put one more before it."""
    window = call.options["context_window"]
    anchor = getattr(window, "causal_anchor_index", None)
    return [*([] if anchor is None else [anchor]), *window.index_list]
