"""Which run a record shows, and what recording costs."""

import gc
import weakref

import comfy.model_management as management
import pytest
import torch
from factories import make_adapter, make_prompt
from host_support.calls import patches_of
from host_support.sampling import noise_of, sample
from host_support.state import digests, tensor_bytes
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.attention_maps.layer_groups import read_groups
from ip_adapter_nodes.ip_adapter.attention_maps.maps import MapOptions, Show, attention_maps
from ip_adapter_nodes.ip_adapter.errors import SettingError, WrongBaseError
from ip_adapter_nodes.ip_adapter.host.attention_record import record_attention
from ip_adapter_nodes.ip_adapter.host.patches import RECORDERS
from ip_adapter_nodes.nodes.attention_maps import AttentionMaps, RecordAttention


@pytest.fixture(scope="module")
def adapter(sd15_sites):
    return make_adapter(sd15_sites)


@pytest.fixture(scope="module")
def applied(sd15, adapter):
    return host.apply(sd15, adapter, make_prompt(), host.ApplyOptions())


def values(record, result, show=Show.TOKENS):
    found = attention_maps(record.run_of(result), MapOptions(show, read_groups("all", record.sites)))
    return torch.stack([one.values for one in found])


def test_recording_leaves_the_model_and_its_options_as_they_are(applied):
    parts = [applied.model_options, applied.wrappers]
    before = digests(parts)
    clone, _ = record_attention(applied, 4)
    sample(clone, steps=1)
    assert digests(parts) == before
    patches, recorded = patches_of(applied), patches_of(clone)
    assert all(recorded[block].branches is patch.branches for block, patch in patches.items())


def test_without_a_record_no_call_is_asked_to_tell(applied):
    seen = []

    def look(executor, *arguments):
        seen.append(arguments[-1])
        return executor(*arguments)

    for model in (applied, record_attention(applied, 4)[0]):
        clone = model.clone()
        clone.add_wrapper_with_key("diffusion_model", "test", look)
        sample(clone, steps=1)
    assert [RECORDERS in options for options in seen] == [False, True]


def test_a_run_takes_the_same_memory_for_any_number_of_steps(applied):
    clone, record = record_attention(applied, 2)
    runs = [record.run_of(sample(clone, steps=steps, noise=noise_of(1))) for steps in (3, 9)]
    places = [(8, 8)] * 5 + [(4, 4)] * 5 + [(2, 2)] * 5 + [(1, 1)]
    # Of 4 tokens, influence and the count, in two parts.
    assert runs[0].size == runs[1].size == 2 * 6 * 4 * sum(h * w for h, w in places)
    assert tensor_bytes(runs[1]) <= runs[1].size + 8 * 8 * 4 * 4


def test_a_record_goes_when_its_model_goes(applied):
    clone, record = record_attention(applied, 4)
    sample(clone, steps=1)
    references = [weakref.ref(record), weakref.ref(record.runs[0])]
    del clone, record
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_adapters_count_before_and_after_the_record(sd15, adapter, applied):
    clone, record = record_attention(sd15, 4)
    after = host.apply(clone, adapter, make_prompt(), host.ApplyOptions())
    before, other = record_attention(applied, 4)
    first, second = sample(after), sample(before)
    assert torch.equal(first, second)
    assert torch.equal(values(record, first), values(other, second))


def test_two_records_in_a_chain_note_the_same(applied):
    first, one = record_attention(applied, 4)
    second, two = record_attention(first, 1)
    result = sample(second)
    assert torch.allclose(values(one, result), values(two, result), atol=1e-6)


def test_a_run_is_found_by_what_it_gave(applied):
    """As on a host that has cached the results of both."""
    clone, record = record_attention(applied, 4)
    results = [sample(clone, noise=noise_of(seed=seed)) for seed in (1, 2)]
    alone = []
    for seed in (1, 2):
        model, own = record_attention(applied, 4)
        alone.append(values(own, sample(model, noise=noise_of(seed=seed))))
    assert torch.equal(values(record, results[1]), alone[1])
    assert torch.equal(values(record, results[0]), alone[0])
    assert not torch.equal(alone[0], alone[1])
    assert torch.equal(values(record, results[0].half()), alone[0])
    with pytest.raises(SettingError, match="sampler's output itself"):
        record.run_of(results[0] * 1.01)


def test_an_interrupted_run_is_not_kept(applied):
    clone, record = record_attention(applied, 4)
    whole = sample(clone)

    def cancel(step, *_):
        management.interrupt_current_processing(step == 1)

    with pytest.raises(management.InterruptProcessingException):
        sample(clone, noise=noise_of(seed=5), callback=cancel)
    management.interrupt_current_processing(False)
    assert len(record.runs) == 1
    assert torch.equal(values(record, whole), values(record, sample(clone)))


MAPS = {"show": "tokens", "layers": "all", "start_percent": 0.0, "end_percent": 1.0, "steps": "together"}
MAPS |= {"scale": "each map", "strength": 0.6, "size": 128}


def _maps(applied, rows=2, **settings):
    clone, record = RecordAttention.execute(applied, 4).result
    result = sample(clone, noise=noise_of(2))
    return AttentionMaps.execute(record, {"samples": result}, torch.rand(rows, 32, 64, 3), **(MAPS | settings)).result


def test_the_node_gives_labelled_images_and_masks(applied):
    image, mask = _maps(applied, show="tokens", layers="all\neach")
    assert image.shape == (2 * 17 * 4, 64 + 66, 128, 3)
    assert mask.shape == (2 * 17 * 4, 64, 128)
    assert 0 <= float(mask.min()) < float(mask.max()) <= 1


BAD = {
    "a layer that is none": ({"layers": "all\nin4, wobbly"}, ("line 2", "wobbly", "in1, in2")),
    "a layer that the model has not": ({"layers": "in3"}, ("line 1", "in3")),
    "a range between parts": ({"start_percent": 0.3, "end_percent": 0.35}, ("4 parts", "0.3 and 0.35")),
    "too many maps": ({"layers": "each\n" * 5}, ("640 maps", "512")),
    "a picture too many": ({"rows": 3}, ("2 recorded latents", "got 3")),
    "too large": ({"size": 9999}, ("64 to 2048", "9999")),
    "too strong": ({"strength": 1.5}, ("from 0 to 1", "1.5")),
}


@pytest.mark.parametrize(("settings", "named"), BAD.values(), ids=BAD)
def test_what_cannot_be_shown_is_named(applied, settings, named):
    with pytest.raises(SettingError) as error:
        _maps(applied, **settings)
    assert all(part in str(error.value) for part in named)


def test_a_model_without_adapters_has_nothing_to_show(sd15):
    with pytest.raises(SettingError, match="No adapter acted"):
        _maps(sd15)


def test_what_cannot_be_recorded_is_named(applied):
    with pytest.raises(SettingError, match="from 1 to 16 parts"):
        record_attention(applied, 0)
    other = applied.clone()
    other.add_object_patch("diffusion_model", torch.nn.Linear(1, 1))
    with pytest.raises(WrongBaseError, match="no UNet cross-attention"):
        record_attention(other, 4)
