"""A text encoder that is stored with the model: states, freezing, training, refusals."""

import json

import pytest
import torch

from clip_pieces import LENGTH, MERGES, SIZES, TEXTS, text_model, tokenizer, vocabulary
from genzoo import (
    ConditionError,
    ConfigError,
    GenModel,
    LoadError,
    Recipe,
    Text,
    Unit,
    create_model,
    train,
)
from genzoo.testing import run_command
from genzoo_diffusion.conditioning import Embedder
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.stored_text import StoredTextConfig, StoredTextEncoder

CPU = torch.device("cpu")
CLIP = {
    **SIZES,
    "vocab_size": len(vocabulary()),
    "max_position_embeddings": LENGTH,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
TOKENS = {"merges": "\n".join(map(" ".join, MERGES)), "max_length": LENGTH}
NAME = "embedder.encoder.clip.embeddings.token_embedding.weight"
SIZE = {"channels": (8, 8), "num_train_timesteps": 20, "schedule": "cosine"}
IMAGES = {**SIZE, "event": Unit(shape=(1, 8, 8)), "conditions": {"text": Text()}}


def stored(**values):
    return {"clip": CLIP, "tokenizer": TOKENS, **values}


def encoder(**values):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return StoredTextEncoder(StoredTextConfig.from_dict(stored(**values)))


def recipe(**values):
    config = {**SIZE, "conditions": ["text"], "stored_text": stored(**values)}
    return Recipe.from_dict(
        {
            "model": {"name": "ddpm", "config": config},
            "data": {"name": "digits", "config": {"captions": True, "limit": 64}},
            "trainer": {"max_steps": 3, "batch_size": 8, "warmup_steps": 0, "ema_decay": 0.5},
        }
    )


def test_states_are_those_of_transformers():
    found, theirs = encoder(), text_model()
    found.clip.load_state_dict(theirs.state_dict())
    ids = tokenizer()(TEXTS, padding="max_length", max_length=LENGTH, return_tensors="pt")
    assert torch.equal(found.token_ids(TEXTS), ids.input_ids)
    encoded = found(TEXTS, CPU)
    assert encoded.mask is None
    assert torch.equal(encoded.sequence, theirs(ids.input_ids)[0])
    assert encoded.sequence.shape == (len(TEXTS), LENGTH, found.width)


def test_no_condition_is_the_empty_text():
    embed = Embedder({"text": Text()}, encoder())
    null, told = embed.null(2, CPU), embed({"text": ["", "the cat"]}, CPU)
    torch.testing.assert_close(null.tokens[1], told.tokens[0])
    assert not torch.allclose(told.tokens[0], told.tokens[1])


def test_a_text_that_is_too_long_is_refused():
    assert encoder().token_ids(["the " * (LENGTH - 2)]).shape == (1, LENGTH)
    with pytest.raises(ConditionError, match=f"has {LENGTH + 1} tokens; this model's encoder tak"):
        encoder().token_ids(["the " * (LENGTH - 1)])


def test_what_is_frozen_drops_nothing_and_what_is_not_does():
    dropping = {**CLIP, "attention_dropout": 0.5}
    for frozen in (True, False):
        found = encoder(clip=dropping, frozen=frozen).train()
        assert found.training
        one, two = (found(["the cat"], CPU).sequence for _ in range(2))
        assert torch.equal(one, two) == frozen
        assert one.requires_grad == (not frozen)


@pytest.mark.parametrize("frozen", [True, False])
def test_it_is_stored_and_stays_as_it_is_where_it_is_frozen(tmp_path, frozen):
    recipe_ = recipe(frozen=frozen)
    with torch.random.fork_rng(devices=[]):
        before = train(Recipe.from_dict(recipe_.to_dict() | {"trainer": {"max_steps": 1}}))
    trained = train(recipe_, tmp_path / "run")
    same = torch.equal(trained.state_dict()[NAME], before.state_dict()[NAME])
    assert same == frozen
    loaded = GenModel.from_pretrained(tmp_path / "run")
    assert loaded.config == trained.config
    assert loaded.get_parameter(NAME).requires_grad != frozen
    assert all(torch.equal(v, trained.state_dict()[k]) for k, v in loaded.state_dict().items())
    drawn = [m.sample(2, condition="the cat", seed=0) for m in (trained, loaded)]
    assert torch.equal(*drawn)
    assert not torch.equal(loaded.sample(2, condition="of", seed=0), drawn[0])


def test_captions_words_are_not_asked_of_the_data():
    from genzoo import load_dataset

    info = load_dataset("digits", captions=True).info
    config = DDPM.configure(info, ("text",), stored_text=stored())
    assert not config.text.vocabulary
    assert config.stored_text.width == 8


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"clip": {**CLIP, "hidden_size": 9}}, "not a multiple of the number of attention heads"),
        ({"clip": {**CLIP, "hidden_size": "8"}}, "hidden_size must be a whole number, got '8'"),
        ({"clip": {**CLIP, "vocab_size": 10}}, "They do not fit together"),
        ({"clip": {**CLIP, "max_position_embeddings": 5}}, "They do not fit together"),
        ({"clip": {**CLIP, "hidden_act": "os.system"}}, "does not define a CLIPTextModel"),
        ({"clip": {**CLIP, "num_hidden_layers": "x"}}, "does not define a CLIPTextModel"),
        ({"clip": {**CLIP, "_attn_implementation": "a/b"}}, "has no field '_attn_implementation'"),
        ({"clip": {**CLIP, "quantization_config": {}}}, "has no field 'quantization_config'"),
        ({"clip": {**CLIP, "intermediate_size": 10**9}}, "intermediate_size cannot be"),
        ({"clip": {"hidden_size": 8}}, "vocab_size must be a whole number, got None"),
    ],
)
def test_configs_that_make_no_encoder_are_refused(values, why):
    with pytest.raises(ConfigError, match=why):
        encoder(**values)


def test_people_are_shown_the_beginning_of_its_merges(tmp_path, capsys):
    long = [a + b for a in "abcdefgh" for b in "abcdefghijklmnop"]
    merges = "\n".join(f"{pair[0]} {pair[1]}" for pair in long)
    clip = {**CLIP, "vocab_size": 1024}
    encoder_ = stored(clip=clip, tokenizer={"merges": merges, "max_length": LENGTH})
    create_model("ddpm", **IMAGES, stored_text=encoder_).save_pretrained(tmp_path)
    for command in (["inspect"], ["card", "--num", "0"]):
        with pytest.raises(SystemExit, match="0"):
            run_command([*command, str(tmp_path)])
    for text in (capsys.readouterr().out, (tmp_path / "README.md").read_text()):
        assert "of 511 characters" in text
        assert "h p" not in text


def test_two_encoders_are_one_too_many(hub):
    frozen = {
        "component": {"repo": "ada/bert", "commit": "0" * 40, "sha256": "0" * 64},
        "kind": "bert",
        "width": 8,
    }
    with pytest.raises(ConfigError, match="a frozen_text or a stored_text, not both"):
        create_model("ddpm", **IMAGES, stored_text=stored(), frozen_text=frozen)


def test_a_stored_config_that_asks_for_more_than_the_weights_hold_is_refused(tmp_path):
    model = create_model("ddpm", **IMAGES, stored_text=stored())
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    said = json.loads(path.read_text())
    said["config"]["stored_text"]["clip"]["num_hidden_layers"] = 60_000
    path.write_text(json.dumps(said))
    with pytest.raises(LoadError, match="parameters"):
        GenModel.from_pretrained(tmp_path)
