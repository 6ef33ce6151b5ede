"""What a node shows while it runs: the host's progress bar and cancel button, and a line below its widgets."""

import logging
import sys

import comfy.model_management
import comfy.utils

log = logging.getLogger(__name__)


class Progress:
    """The host's progress bar; every step is a point where the user can cancel."""

    def __init__(self, total: int) -> None:
        self._bar = comfy.utils.ProgressBar(total)

    def __call__(self, done: int = 1) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update(done)


def say(subject: str, text: str, node: str | None) -> None:
    """Logs what is to be said of a subject, and shows it on the node with this id if somebody looks at it."""
    log.info("%s: %s", subject, text)
    # Nodes also run without a server, and its module is not to be imported then.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is not None and node is not None:
        server.send_progress_text(text, node)
