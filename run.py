#!/usr/bin/env python3
"""The front door: `python3 run.py demo`, `serve`, `models`, `train`, `evaluate`. Needs only Python 3.10 or newer."""

import sys
import time

STARTED = time.monotonic()
# The checkout may be read-only, and is not ours to litter.
sys.dont_write_bytecode = True

if sys.version_info < (3, 10):  # noqa: UP036 - the packages need it, this line does not
    sys.exit(f"run.py needs Python 3.10 or newer, this is {sys.version.split()[0]}. Start it with a newer one.")

from pathlib import Path  # noqa: E402

# Kept as typed: inside a ComfyUI's custom_nodes the checkout may be a link.
ROOT = Path(__file__).absolute().parent
sys.path.insert(0, str(ROOT))

from launcher.command_line import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, STARTED))
