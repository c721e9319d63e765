"""What a library raises for a stranger's values is a refusal of ours, before memory is taken."""

import json

import pytest
import torch

import fuzz_subjects
from genzoo import ConfigError, GenModel, LoadError, create_model
from genzoo.plugin import foreign_errors
from genzoo_diffusion.fitted_text import FittedTextConfig, FittedTextEncoder

CONFIGS = {
    "unet": ("ddpm", fuzz_subjects.FILLED["ddpm"][0], ()),
    "text unet": ("ddpm", fuzz_subjects.FILLED["ddpm"][1], ()),
    "clip": ("ddpm", fuzz_subjects.FILLED["ddpm"][2], ("stored_text",)),
    "autoencoder": ("autoencoder-kl", fuzz_subjects.FILLED["autoencoder-kl"][0], ()),
}
FIELD = {"unet": "unet", "text unet": "unet", "clip": "clip", "autoencoder": "autoencoder"}
WRONG = [
    ("unet", {"down_block_types": [5, 5]}),
    ("unet", {"down_block_types": [5]}),
    ("unet", {"up_block_types": [None]}),
    ("unet", {"act_fn": None}),
    ("unet", {"act_fn": 3}),
    ("unet", {"block_out_channels": None}),
    ("unet", {"block_out_channels": ["8"]}),
    ("unet", {"norm_num_groups": 0}),
    ("unet", {"norm_num_groups": "4"}),
    ("unet", {"time_embedding_type": 1}),
    ("unet", {"resnet_time_scale_shift": 4}),
    ("unet", {"layers_per_block": 0.5}),
    ("text unet", {"down_block_types": [5]}),
    ("text unet", {"act_fn": None}),
    ("text unet", {"transformer_layers_per_block": None}),
    ("text unet", {"num_attention_heads": "x"}),
    ("text unet", {"attention_head_dim": 0}),
    ("autoencoder", {"down_block_types": [5, 5]}),
    ("autoencoder", {"down_block_types": [5]}),
    ("autoencoder", {"act_fn": None}),
    ("autoencoder", {"block_out_channels": 8}),
    ("autoencoder", {"norm_num_groups": None}),
    ("autoencoder", {"latent_channels": None}),
    ("clip", {"hidden_act": None}),
    ("clip", {"num_attention_heads": 0}),
    ("clip", {"num_attention_heads": None}),
    ("clip", {"layer_norm_eps": "x"}),
    ("clip", {"eos_token_id": [None]}),
]


def config_of(kind, values):
    """Return a model's name and its config, with some values in the mapping."""
    name, config, path = CONFIGS[kind]
    config = fuzz_subjects._called(config)
    inner = config
    for key in path:
        inner = inner[key]
    inner[FIELD[kind]].update(values)
    return name, config


def ids(values):
    return str(values)[:60]


@pytest.mark.parametrize(("kind", "values"), WRONG, ids=ids)
def test_a_user_who_builds_such_a_config_gets_a_config_error(kind, values):
    name, config = config_of(kind, values)
    with pytest.raises(ConfigError) as caught:
        create_model(name, **config)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A sound folder of each kind."""
    found = {}
    for kind in CONFIGS:
        name, config = config_of(kind, {})
        found[kind] = tmp_path_factory.mktemp(kind)
        create_model(name, **config).save_pretrained(found[kind])
    return found


@pytest.mark.parametrize(("kind", "values"), WRONG, ids=ids)
def test_a_folder_that_says_so_is_refused_before_memory_is_taken(folders, kind, values):
    path = folders[kind] / "config.json"
    before = path.read_text()
    found = json.loads(before)
    _, found["config"] = config_of(kind, values)
    path.write_text(json.dumps(found))
    real = []
    hook = torch.nn.modules.module.register_module_parameter_registration_hook(
        lambda owner, name, value: real.append(name) if not value.is_meta else None
    )
    try:
        with pytest.raises(LoadError):
            GenModel.from_pretrained(folders[kind])
    finally:
        hook.remove()
        path.write_text(before)
    assert real == []
    GenModel.from_pretrained(folders[kind])


def test_the_sound_configs_make_models():
    for kind in CONFIGS:
        name, config = config_of(kind, {})
        create_model(name, **config)


class PanicException(BaseException):
    """As pyo3 raises it: no Exception."""


@pytest.mark.parametrize("error", [AttributeError, NameError, MemoryError, PanicException])
def test_whatever_is_raised_while_something_is_made_is_a_config_error(error):
    refused = pytest.raises(ConfigError, match=r"It is not made: no\. Look again\.")
    with refused, foreign_errors(ConfigError, "It is not made", "Look again."):
        raise error("no")


def test_an_interrupt_is_none():
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error), foreign_errors(ConfigError, "It is not made", "Look again."):
            raise error


def test_words_that_a_tokenizer_refuses_are_a_config_error(monkeypatch):
    def refuse(config):
        raise PanicException("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr("genzoo_diffusion.fitted_text.make_tokenizer", refuse)
    with pytest.raises(ConfigError, match="does not define an encoder"):
        FittedTextEncoder(FittedTextConfig(vocabulary=("a",)))
