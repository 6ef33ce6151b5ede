"""What a node says below its widgets, and in the log."""

import logging
import sys

log = logging.getLogger(__name__)


def say(text: str, node: str | None) -> None:
    """Logs a line, and shows it on the node with this id where somebody looks at it in a browser."""
    log.info(text)
    # Nodes also run without a server, and its module is not to be imported then.
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is not None and node is not None:
        server.send_progress_text(text, node)
