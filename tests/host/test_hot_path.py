"""What an adapter costs while sampling: operations, copies and memory, on the topologies of SD1.5 and SDXL."""

import gc
import weakref
from collections import Counter
from contextlib import contextmanager

import comfy.ops
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from factories import adapter_tensors, key_values, make_adapter, make_prompt, projector_tensors
from host_support.calls import patches_of
from host_support.sampling import sample
from host_support.small_models import supported_model
from host_support.state import tensor_bytes
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.applying.application import Application
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.host.patches import SiteBranch, SitePatch
from ip_adapter_nodes.ip_adapter.weights.schedule import WeightSchedule
from torch.profiler import ProfilerActivity, profile

SITES = 16
MASK = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
SCHEDULE = WeightSchedule(((0.0, 1.0), (1.0, 0.5)))

pytestmark = pytest.mark.filterwarnings("default::UserWarning:torch.profiler")


@pytest.fixture(scope="module")
def apply(sd15, sd15_sites):
    adapter = make_adapter(sd15_sites)
    return lambda model=None, **settings: host.apply(
        model or sd15, adapter, make_prompt(), host.ApplyOptions(**settings)
    )


def _events(model, steps: int = 1) -> Counter:
    """How often each aten operation ran, in a run of a model that has run before."""
    sample(model, steps=1)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        sample(model, steps=steps)
    return Counter(event.name for event in profiler.events() if event.name.startswith("aten::"))


def _per_site(model, bare: Counter) -> float:
    return (_events(model).total() - bare.total()) / SITES


def test_a_site_costs_at_most_thirty_operations(sd15, apply):
    bare = _events(sd15)
    one = _per_site(apply(), bare)
    assert 0 < one <= 30
    assert _per_site(apply(apply()), bare) <= 2 * one
    assert _per_site(apply(mask=MASK), bare) <= one + 6
    # What is decided once per evaluation is few operations for all sites together.
    assert _per_site(apply(schedule=SCHEDULE), bare) <= one + 1


def test_operations_do_not_grow_with_steps(apply):
    model = apply(mask=MASK, schedule=SCHEDULE)
    two, three, five = (_events(model, steps).total() for steps in (2, 3, 5))
    assert five - three == 2 * (three - two) > 0


@pytest.mark.parametrize("settings", [{}, {"mask": MASK}], ids=["plain", "mask"])
def test_keys_and_values_are_not_copied_after_the_first_evaluation(sd15, apply, settings):
    bare, patched = _events(sd15), _events(apply(**settings))
    for name in ("aten::to", "aten::_to_copy", "aten::copy_", "aten::stack", "aten::cat", "aten::repeat"):
        assert patched[name] == bare[name], name


class LazySource:
    """Adapter matrices made when they are asked for, with references that show which of them are still alive."""

    name, metadata, dtypes = "lazy", {}, {}

    def __init__(self, shapes) -> None:
        self.shapes = shapes
        self.given: list[weakref.ref] = []

    @contextmanager
    def open(self):
        def read(name):
            tensor = torch.full(self.shapes[name], 0.01)
            self.given.append(weakref.ref(tensor))
            assert sum(reference() is not None for reference in self.given) < 60, "matrices are kept while reading"
            return tensor

        yield read


def _real_sites(base: str):
    """The sites of the host's UNet of a base in its real size, without memory for its weights."""
    config = supported_model(base, channels=320).unet_config
    return find_sites(UNetModel(**config, device="meta", operations=comfy.ops.disable_weight_init))


def test_what_a_patch_of_sdxl_keeps_is_small():
    sites = _real_sites("sdxl")
    assert len(sites) == 70
    assert {site.width for site in sites} == {640, 1280}
    shapes = {name: tuple(tensor.shape) for name, tensor in projector_tensors("plus", 2048).items()}
    for n, site in enumerate(sites):
        shapes |= {f"ip_adapter.{2 * n + 1}.to_{x}_ip.weight": (site.width, site.context_width) for x in "kv"}
    source = LazySource(shapes)
    application = Application("lazy", None, None)
    items = key_values(Adapter.of(source), make_prompt(), sites, [1.0] * 70)
    patches = [SitePatch(None, [SiteBranch(application, item, torch.float16)]) for item in items]
    assert len(patches) == 70
    tokens = 16
    assert tensor_bytes(patches) == sum(2 * 2 * tokens * site.width * 2 for site in sites)
    assert tensor_bytes(patches) < 15e6
    gc.collect()
    assert [reference for reference in source.given if reference() is not None] == []


def test_the_adapters_tensors_are_not_kept_after_apply(sd15, sd15_sites):
    tensors = adapter_tensors(sd15_sites)
    references = [weakref.ref(tensor) for tensor in tensors.values()]
    adapter = Adapter.of(TensorDict("test", tensors))
    model = host.apply(sd15, adapter, make_prompt(), host.ApplyOptions(mask=MASK, schedule=SCHEDULE))
    del adapter, tensors
    gc.collect()
    assert [reference for reference in references if reference() is not None] == []
    assert patches_of(model)
