"""What a node says below its widgets, and in the log."""

import logging
import sys

log = logging.getLogger(__name__)


def say(subject: str, text: str, node: str | None) -> None:
    """Logs what is to be said of a subject, and shows it on the node with this id if somebody looks at it."""
    log.info("%s: %s", subject, text)
    # Nodes also run without a server, and its module is not to be imported then.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is not None and node is not None:
        server.send_progress_text(text, node)
