"""`models convert`: any layout to safetensors with the published names."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...ip_adapter.library.conversion import convert
from ...ip_adapter.recognition.variant import AUTO, VARIANTS

DESCRIPTION = """\
Write an adapter of any layout (pickles, raw training checkpoints, diffusers' names) as safetensors with the published
names image_proj.* and ip_adapter.*, its LoRA included. The values stay bitwise as they are; what was decided about the
file, and its sha256, go into the metadata. Nothing is overwritten."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the adapter")
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="default: FILE with the ending .safetensors")
    parser.add_argument("--variant", choices=VARIANTS, default=AUTO, help="what the file's tensors cannot tell")


def run(options: Namespace) -> int:
    """Convert, and say what was written."""
    out = options.out or options.file.with_suffix(".safetensors")
    spec = convert(options.file, out, options.variant).spec
    print(f"{out}: {spec.kind.value} for {spec.base.value}, {spec.tokens} tokens")
    return 0
