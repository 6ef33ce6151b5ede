"""The nodes as the host sees them. Importing this package needs ComfyUI."""

from typing import Any

from comfy_api.latest import ComfyExtension

from ..ip_adapter.host import faces, register_folder
from . import apply, encode, face, load, weights

NODES = [*load.NODES, *encode.NODES, *apply.NODES, *weights.NODES, *face.NODES]


class IPAdapterExtension(ComfyExtension):
    async def get_node_list(self) -> list[Any]:
        register_folder()
        faces.register_folder()
        return NODES
