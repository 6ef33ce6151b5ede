"""The demo family as a pack of its own: a tiny text-to-image model that the host's standard nodes load and run.

`run.py` links this folder into the host it starts. A user's install does not: registering a model class is global state
that belongs into no pack that people use.
"""

from typing import Any


async def comfy_entrypoint() -> Any:
    """Registers the demo model, its image encoder and its T2I-Adapter; the pack has no nodes."""
    from comfy_api.latest import ComfyExtension

    from . import clip_vision, model, t2i_adapter

    class DemoExtension(ComfyExtension):
        async def get_node_list(self) -> list[Any]:
            return []

    model.register()
    clip_vision.register()
    t2i_adapter.register()
    return DemoExtension()
