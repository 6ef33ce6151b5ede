"""The nodes as the host sees them. Importing this package needs ComfyUI."""

from typing import Any

from comfy_api.latest import ComfyExtension

from ..ip_adapter.host import faces, register_folder
from . import apply, attention_maps, combine, encode, evaluate, face, load, masks, noise, prompt_file, train, weights

NODES = [
    *load.NODES,
    *encode.NODES,
    *combine.NODES,
    *noise.NODES,
    *prompt_file.NODES,
    *apply.NODES,
    *weights.NODES,
    *masks.NODES,
    *face.NODES,
    *train.NODES,
    *evaluate.NODES,
    *attention_maps.NODES,
]


class IPAdapterExtension(ComfyExtension):
    async def get_node_list(self) -> list[Any]:
        register_folder()
        faces.register_folder()
        return NODES
