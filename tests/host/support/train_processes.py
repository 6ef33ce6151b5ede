"""A script for `accelerate launch`: trains the tiny base in the folder given, with the batch given."""

import importlib.util
import os
import sys
import types
from pathlib import Path

root, output, batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
specification = importlib.util.spec_from_file_location("bootstrap", root / "launcher" / "bootstrap.py")
bootstrap = importlib.util.module_from_spec(specification)
specification.loader.exec_module(bootstrap)
bootstrap.register_pack(root)
bootstrap.prepare_host(Path(os.environ["IP_ADAPTER_NODES_HOST"]), ["--cpu"])
package = types.ModuleType("host_support")
package.__path__ = [str(Path(__file__).parent)]
sys.modules["host_support"] = package
sys.path.insert(0, str(root / "tests"))

from host_support.training import config, train  # noqa: E402

train(config(output, batch=batch, steps=3, log_every=3, seed=4, kind="faceid", lora_rank=3), held_out=2)
