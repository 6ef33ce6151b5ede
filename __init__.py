"""IP-Adapter Nodes: a picture as a prompt, in ComfyUI. Importing this package needs no ComfyUI."""

import logging
from typing import Any

WEB_DIRECTORY = "web"  # the help pages


async def comfy_entrypoint() -> Any:
    """The host's entry point: the extension that lists our nodes."""
    try:
        from .nodes import IPAdapterExtension
    except Exception:
        # The host reports a failing entry point in one line, without the traceback.
        logging.getLogger(__name__).exception("IP-Adapter Nodes could not be loaded")
        raise
    return IPAdapterExtension()
