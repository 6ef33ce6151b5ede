"""The curve and the drawn pictures in a tracker such as TensorBoard, through `accelerate`."""

from dataclasses import asdict
from typing import Any

from torch import Tensor

from ...models.shapes import Float
from .config import Tracker
from .curve import Point

FOLDER = "ip_adapter"  # in the output folder


class Tracking:
    """Tells the tracker of a training, where there is one."""

    def __init__(self, accelerator: Any, tracker: Tracker) -> None:
        self._accelerator, self._tracker = accelerator, tracker

    def start(self, step: int) -> None:
        """After this step. What the tracker was told of later ones, which a failure has undone, is dropped."""
        if self._tracker is not Tracker.NONE:
            first_to_come = step + 1 if step else 0  # the held-out pictures are measured before the first step, too
            self._accelerator.init_trackers(FOLDER, init_kwargs={self._tracker.value: {"purge_step": first_to_come}})

    def tell(self, point: Point) -> None:
        """Of what was measured at a step."""
        if self._tracker is not Tracker.NONE:
            values = {name: value for name, value in asdict(point).items() if name != "step" and value is not None}
            self._accelerator.log(values, step=point.step)

    def show(self, picture: Float[Tensor, "3 height width"], step: int) -> None:
        """A picture in [0, 1]."""
        if self._tracker is not Tracker.NONE:
            tracker = self._accelerator.get_tracker(self._tracker.value)
            tracker.log_images({"drawn": (picture[None] * 255).round().byte()}, step=step)
