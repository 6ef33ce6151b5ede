"""The annotations are real types where jaxtyping is installed, and the networks run where it is not."""

import subprocess
import sys
from typing import get_type_hints

from ip_adapter_nodes.models.linear import LinearProjector
from torch import Tensor
from waiting import HANG

WITHOUT_JAXTYPING = """
import sys, types

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jaxtyping", "beartype"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocker())
package = types.ModuleType("ip_adapter_nodes")
package.__path__ = [sys.argv[1]]
sys.modules["ip_adapter_nodes"] = package

import torch
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from ip_adapter_nodes.ip_adapter import adapter
from ip_adapter_nodes.ip_adapter.attention import image_attention, region
from ip_adapter_nodes.ip_adapter.prompts import preprocess, prompt

assert LinearProjector.forward.__annotations__["features"] is torch.Tensor
assert LinearProjector(LinearConfig(8, 2, 6))(torch.zeros(3, 8)).shape == (3, 2, 6)
assert Resampler(ResamplerConfig(8, 2, 6, 64, 1, depth=1))(torch.zeros(3, 4, 8)).shape == (3, 2, 6)
assert "jaxtyping" not in sys.modules
"""


def test_runs_without_jaxtyping(root):
    command = [sys.executable, "-W", "error", "-c", WITHOUT_JAXTYPING, str(root)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert result.returncode == 0, result.stderr


def test_annotation_states_the_shape():
    annotation = get_type_hints(LinearProjector.forward)["features"]
    assert issubclass(annotation.array_type, Tensor)
    assert annotation.dim_str == "batch feature_width"
