"""Choosing an adapter file."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.recognition.variant import AUTO, VARIANTS
from . import sockets
from .schema import also_found_as


class LoadIPAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadIPAdapter",
            display_name="Load IP-Adapter",
            category=sockets.CATEGORY,
            **also_found_as(
                "IPAdapter Model Loader",
                "IPAdapter Unified Loader",
                "IPAdapter Unified Loader FaceID",
                "IPAdapter Unified Loader Community",
            ),
            description="Loads an IP-Adapter. What the file is follows from its tensors, whatever its name.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=host.adapter_files(),
                    tooltip="A file in models/ipadapter. It must fit the base model and the image encoder you connect "
                    "later; Apply IP-Adapter checks both.",
                ),
                io.Combo.Input(
                    "variant",
                    options=list(VARIANTS),
                    default=AUTO,
                    tooltip="What the tensors of some FaceID files cannot tell. Leave it on auto unless the result is "
                    "wrong; the node and the log say what was decided, and why.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[sockets.IPAdapter.Output(display_name="ip_adapter", tooltip="The adapter, for Apply IP-Adapter.")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, variant: str) -> Any:
        return host.file_stamp(file), variant

    @classmethod
    def execute(cls, file: str, variant: str) -> io.NodeOutput:
        return io.NodeOutput(host.load_adapter(file, variant, cls.hidden and cls.hidden.unique_id))


NODES = [LoadIPAdapter]
