"""Settings from TOML: the paper's by default, and every wrong one named."""

import json
from pathlib import Path

import pytest
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.training.config import Precision, TrainingConfig
from ip_adapter_nodes.models.facts import Kind

NEEDED = {"base": '"base.safetensors"', "image_encoder": '"vision.safetensors"', "data": '"pictures"'}
NEEDED |= {"output": '"out"', "steps": "10"}


@pytest.fixture
def read(tmp_path):
    """The settings of a file with these lines beside the needed ones."""
    (tmp_path / "pictures").mkdir()
    for name in ("base", "vision"):
        (tmp_path / f"{name}.safetensors").touch()

    def settings(**lines: str) -> TrainingConfig:
        file = tmp_path / "my.toml"
        given = {name: value for name, value in (NEEDED | lines).items() if value}
        file.write_text("\n".join(f"{name} = {value}" for name, value in given.items()), encoding="utf-8")
        return TrainingConfig.read(file)

    return settings


def test_the_defaults_are_the_papers(read):
    config = read()
    assert (config.learning_rate, config.weight_decay, config.batch, config.resolution) == (1e-4, 0.01, 8, 512)
    drops = config.weighting.drops
    assert (drops.picture, drops.text, drops.both, config.weighting.min_snr) == (0.05, 0.05, 0.05, None)
    assert config.kind is Kind.STANDARD


def test_paths_are_relative_to_the_file_and_values_have_their_types(read, tmp_path):
    config = read(kind='"plus"', precision='"bfloat16"', min_snr="5", recompute="true", custom_nodes='["pictures"]')
    assert config.base == tmp_path / "base.safetensors"
    assert config.custom_nodes == (tmp_path / "pictures",)
    assert (config.kind, config.precision, config.recompute) == (Kind.PLUS, Precision.BFLOAT16, True)
    assert isinstance(config.min_snr, float)


def test_the_recipe_is_complete_and_says_nothing_of_the_machine(read, tmp_path):
    config = read()
    recipe = json.loads(config.recipe())
    assert recipe.keys() == vars(config).keys()
    assert str(tmp_path) not in config.recipe()
    assert (recipe["base"], recipe["kind"], recipe["precision"]) == ("base.safetensors", "standard", "float32")


WRONG = {
    "unknown": ({"lerning_rate": "1e-4"}, r"my.toml: there is no setting 'lerning_rate'. Did you mean learning_rate\?"),
    "nothing like it": ({"zzz": "1"}, "there is no setting 'zzz'. Known are base, "),
    "missing": ({"steps": ""}, "my.toml: expected steps, which no default can stand for"),
    "text for a number": ({"steps": '"ten"'}, "expected steps to be a whole number, got 'ten'"),
    "fraction": ({"batch": "1.5"}, r"expected batch to be a whole number, got 1\.5"),
    "truth for a number": ({"batch": "true"}, "expected batch to be a whole number, got True"),
    "number for a path": ({"data": "3"}, "expected data to be a path in quotes, got 3"),
    "one path for a list": ({"custom_nodes": '"x"'}, "expected custom_nodes to be a list of paths in quotes, got 'x'"),
    "choice": ({"precision": '"half"'}, "expected precision to be one of float32, bfloat16, float16, got 'half'"),
    "kind without faces": ({"kind": '"faceid"'}, "Expected face_models, which adapters of kind faceid read through"),
    "kind without an encoder": ({"image_encoder": "", "kind": '"plus"'}, "Expected image_encoder, which adapters of"),
    "unknown kind": ({"kind": '"plush"'}, "expected kind to be one of standard, plus, .* got 'plush'"),
    "none at all": ({"steps": "0"}, "Expected steps to be at least 1, got 0"),
    "negative": ({"weight_decay": "-1"}, "Expected weight_decay to be 0 or more"),
    "not a number": ({"learning_rate": "nan"}, "Expected learning_rate to be above 0 and at most 1, got nan"),
    "size": ({"resolution": "500"}, "Expected resolution to be a multiple of 64, got 500"),
    "average": ({"ema": "1"}, "Expected ema to be at least 0 and below 1"),
    "LoRA of pictures": ({"lora_rank": "4"}, "Expected lora_rank 0 for kind standard: only readers of faces apply a"),
    "negative rank": ({"lora_rank": "-1"}, "Expected lora_rank to be 0 or more, got -1"),
    "nothing to draw": ({"draw_every": "5"}, "Expected held_out to be at least 1 where draw_every is"),
    "drops": ({"drop_text": "0.95"}, "sum to 1 at most"),
    "missing file": ({"base": '"other.safetensors"'}, "Expected base to be there, but .*other.safetensors is not"),
    "missing folder": ({"data": '"base.safetensors"'}, "Expected data to be a folder of pictures, or a file of .tar"),
    "no TOML": ({"steps": "= 3"}, "my.toml is no TOML file"),
}


@pytest.mark.parametrize(("lines", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(read, lines, message):
    with pytest.raises(SettingError, match=message):
        read(**lines)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"none.toml cannot be read .*Name the TOML file"):
        TrainingConfig.read(Path(tmp_path, "none.toml"))
