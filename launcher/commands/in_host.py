"""Commands that run one of the pack's own modules with the host's interpreter (see `bootstrap.py`)."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..bootstrap import HOST_DEVICE_VARIABLE, NO_HOST
from ..cache import make_cache
from ..errors import LauncherError
from ..host import VARIABLE, Host, find_host, own_interpreter, prepare_host
from ..process import run as run_program
from ..status import Status
from .command import Call, Command

BOOTSTRAP = Path(__file__).resolve().parent.parent / "bootstrap.py"
MODELS_MODULE = "cli.models"
MODELS_NEED = ("torch", "einops", "safetensors", "huggingface_hub", "tqdm", "yaml")


def run_in_host(host: Host, module: str, call: Call, *arguments: str) -> int:
    """Call `module`'s `main` with these and the command's further arguments, on the device the host would choose."""
    device = "cpu" if host.device == "cpu" else "auto"
    command = [host.python, str(BOOTSTRAP), str(host.path), module, *arguments, *call.extra]
    return run_program(command, environment={HOST_DEVICE_VARIABLE: device})


def host_command(name: str, module: str, summary: str, description: str, needs: str = "") -> Command:
    """The command that sets everything up and calls `module`'s `main(arguments)` inside the host."""

    def run(call: Call) -> int:
        return run_in_host(prepare_host(call.root, make_cache(), call.status), module, call)

    return Command(name=name, summary=summary, description=description, run=run, passes_on=module, needs=needs)


def run_models(call: Call) -> int:
    """Look at files and fetch them, with the interpreter of the user's ComfyUI, else our own; no ComfyUI is started."""
    own = find_host(call.root, os.environ)
    if own is None:
        # Standard output is the answer's alone.
        python, place = own_interpreter(make_cache(), Status(sys.stderr)), {}
    else:
        python, place = _complete_interpreter(), {VARIABLE: str(own)}
    return run_program([python, str(BOOTSTRAP), NO_HOST, MODELS_MODULE, *call.extra], environment=place)


def _complete_interpreter() -> str:
    missing = [name for name in MODELS_NEED if find_spec(name) is None]
    if missing:
        raise LauncherError(
            f"Looking for what is needed in {sys.executable}: it lacks {', '.join(missing)}. Start run.py with the "
            "interpreter that your ComfyUI uses."
        )
    return sys.executable


MODELS = Command(
    name="models",
    summary="list, get, inspect and convert adapter files",
    description="What files you have and what they are (list, inspect), how to get the published ones (get), and "
    "any layout to the published one (convert). 'run.py models SUBCOMMAND --help' tells more. Exit status: 0 fine, "
    "1 an error that is explained, 2 a wrong command line, 130 interrupted.",
    run=run_models,
    passes_on=MODELS_MODULE,
)
BENCH = host_command(
    "bench",
    "benchmarks.__main__",
    "measure what the adapter costs",
    "Set everything up and run the benchmarks inside the host. Further arguments go to them.",
    needs="benchmarks",
)
DEMO_WEIGHTS = host_command(
    "demo-weights",
    "demo.training.stages",
    "train the small demonstration model",
    "Set everything up and run a stage of the demonstration model's training inside the host: "
    "run.py dev demo-weights STAGE --folder FOLDER [ARGUMENT ...]",
    needs="demo",
)
DEMO_MEASURE = host_command(
    "demo-measure",
    "demo.measure",
    "measure the small demonstration model",
    "Set everything up and measure inside the host how well the demonstration model follows text and picture: "
    "run.py dev demo-measure --output FOLDER [--cases N]",
    needs="demo",
)
DEMO_ABLATIONS = host_command(
    "demo-ablations",
    "demo.training.ablations.run",
    "the paper's ablations on the demonstration model",
    "Set everything up, train each variant of the adapter with several seeds and measure them all: "
    "run.py dev demo-ablations --folder FOLDER [--seeds N]. Takes hours; what is done is kept in the folder.",
    needs="demo",
)
TRAIN = host_command(
    "train",
    "cli.train",
    "train an adapter on pictures of your own",
    "Set everything up and train an adapter inside the host as a TOML file says: run.py train CONFIG.toml. "
    "docs/training.md lists the settings. Exit status: 0 finished, 1 an error that is explained, 2 a wrong command "
    "line, 130 interrupted and saved.",
)
EVALUATE = host_command(
    "evaluate",
    "cli.evaluate",
    "measure how much pictures follow references and captions",
    "Set everything up and measure CLIP-I, CLIP-T and face similarity inside the host: run.py evaluate PICTURES "
    "REFERENCES [--image-encoder FILE [--text-encoder FILE]] [--face-models FOLDER] [--output FOLDER]; with --adapter "
    "FILE --base FILE it draws them first by the paper's protocol. Exit status: 0 fine, 1 an error that is explained, "
    "2 a wrong command line, 130 interrupted.",
)
DEMO_EVALUATE = host_command(
    "demo-evaluate",
    "demo.evaluate",
    "the same for pictures of the demonstration's world",
    "As run.py evaluate, for the demonstration model: it is known without --custom-nodes, and the share of attributes "
    "that are alike in picture and reference is measured too.",
    needs="demo",
)
