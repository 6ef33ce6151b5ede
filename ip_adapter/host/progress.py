"""The host's progress bar and cancel button."""

import comfy.model_management
import comfy.utils


class Progress:
    """The host's progress bar; every step is a point where the user can cancel."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)

    def __call__(self, done: int = 1) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update(done)
