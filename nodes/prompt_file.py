"""Image prompts on the disk."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.host import prompt_files as host
from . import sockets
from .schema import also_found_as


class SaveImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveImagePrompt",
            display_name="Save Image Prompt",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Save Embeds"),
            description="Writes an image prompt to a file in output/image_prompts, with all that it takes to apply it "
            "without an image encoder.",
            is_output_node=True,
            inputs=[
                sockets.ImagePrompt.Input("image_prompt", tooltip="From Encode Image Prompt or Combine Image Prompts."),
                io.String.Input(
                    "name", default="image_prompt", tooltip="The file's name; a number and an ending are added."
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
        )

    @classmethod
    def execute(cls, image_prompt: Any, name: str) -> io.NodeOutput:
        return io.NodeOutput(host.save(image_prompt, name))


class LoadImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadImagePrompt",
            display_name="Load Image Prompt",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Load Embeds", "ipadpt"),
            description="Reads an image prompt from a file of Save Image Prompt, or from an .ipadpt file of "
            "ComfyUI_IPAdapter_plus. No image encoder is needed.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=host.FILES.listed(),
                    tooltip="A file in the folder image_prompts of the output or input folder.",
                ),
                io.Combo.Input(
                    "negative_file",
                    options=[host.NO_FILE, *host.FILES.listed()],
                    default=host.NO_FILE,
                    optional=True,
                    tooltip="Another file whose pictures become the negative ones. ComfyUI_IPAdapter_plus saves those "
                    "apart, and its Plus embeddings need them.",
                ),
            ],
            outputs=[sockets.ImagePrompt.Output(display_name="image_prompt", tooltip="For Apply IP-Adapter.")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, negative_file: str = host.NO_FILE) -> Any:
        return [host.FILES.stamp(file), host.FILES.stamp(negative_file)]

    @classmethod
    def execute(cls, file: str, negative_file: str = host.NO_FILE) -> io.NodeOutput:
        return io.NodeOutput(host.load(file, negative_file))


NODES = [SaveImagePrompt, LoadImagePrompt]
