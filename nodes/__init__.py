"""The nodes as the host sees them. Importing this package needs ComfyUI."""

from typing import Any

from comfy_api.latest import ComfyExtension

from ..ip_adapter.host import register_folder
from . import apply, encode, load, weights

NODES = [*load.NODES, *encode.NODES, *apply.NODES, *weights.NODES]


class IPAdapterExtension(ComfyExtension):
    async def get_node_list(self) -> list[Any]:
        register_folder()
        return NODES
