"""Run a module of this pack inside a host's code, without the host's server.

As a script, with the environment's interpreter:

    python launcher/bootstrap.py HOST_FOLDER MODULE [ARGUMENT ...]

imports `ip_adapter_nodes.MODULE` with ComfyUI's modules importable and calls its `main(arguments)`. For a module that
needs nothing of ComfyUI, HOST_FOLDER is `-`.

This file stands alone (no relative imports): the tests load it by its location to prepare themselves the same way.
"""

import importlib
import os
import shlex
import sys
import types
from collections.abc import Sequence
from pathlib import Path

PACKAGE_NAME = "ip_adapter_nodes"
HOST_ARGUMENTS_VARIABLE = "IP_ADAPTER_HOST_ARGS"
HOST_DEVICE_VARIABLE = "IP_ADAPTER_HOST_DEVICE"
PACK_ROOT = Path(__file__).resolve().parent.parent
NO_HOST = "-"


def register_pack(root: Path) -> types.ModuleType:
    """Make the pack at `root` importable as `ip_adapter_nodes`, whatever its folder is called. Idempotent.

    Its `__init__.py` is not executed. The root itself must stay off `sys.path`, where our `nodes` package would shadow
    the host's `nodes.py`.
    """
    known = sys.modules.get(PACKAGE_NAME)
    if known is not None:
        return known
    package = types.ModuleType(PACKAGE_NAME)
    package.__path__ = [str(root)]
    sys.modules[PACKAGE_NAME] = package
    return package


def hide_folders(folders: Sequence[Path]) -> None:
    """Take `folders` off `sys.path`, in whatever spelling they stand there; an empty entry means the current folder."""
    hidden = {folder.resolve() for folder in folders}
    sys.path[:] = [entry for entry in sys.path if Path(entry or os.getcwd()).resolve() not in hidden]


def prepare_host(host: Path, arguments: Sequence[str]) -> None:
    """Make the ComfyUI at `host` importable, as if it had been started with `arguments`.

    Must run before anything imports `comfy`: the host reads its command line once, on import. `sys.argv` is left as it
    was, so a test runner or a script still finds its own.
    """
    hide_folders([PACK_ROOT, PACK_ROOT / "launcher"])
    sys.path.insert(0, str(host))
    own_arguments = sys.argv
    sys.argv = ["main.py", *arguments]
    try:
        importlib.import_module("comfy.options").enable_args_parsing()
        importlib.import_module("comfy.cli_args")
    finally:
        sys.argv = own_arguments


def host_arguments() -> list[str]:
    """The host's command line from the environment.

    `--cpu` unless IP_ADAPTER_HOST_DEVICE is `auto` (then the host chooses its device), and whatever
    IP_ADAPTER_HOST_ARGS adds, quoted as in a shell.
    """
    device = [] if os.environ.get(HOST_DEVICE_VARIABLE) == "auto" else ["--cpu"]
    return device + shlex.split(os.environ.get(HOST_ARGUMENTS_VARIABLE, ""))


def main(arguments: Sequence[str]) -> int:
    """Run `MODULE`'s `main` with the remaining arguments; its integer result, if any, is the exit status."""
    if len(arguments) < 2:
        print("usage: bootstrap.py HOST_FOLDER MODULE [ARGUMENT ...]", file=sys.stderr)
        return 2
    host, module_name, *rest = arguments
    if host == NO_HOST:
        hide_folders([PACK_ROOT, PACK_ROOT / "launcher"])
    else:
        prepare_host(Path(host).resolve(), host_arguments())
    register_pack(PACK_ROOT)
    module = importlib.import_module(f"{PACKAGE_NAME}.{module_name}")
    result = module.main(rest)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
