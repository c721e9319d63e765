"""A denoising model of pictures given texts: from captions to samples, stored and loaded."""

import pytest
import torch
import transformers

from genzoo import (
    ArrayDataset,
    ConditionError,
    ConfigError,
    DataError,
    DataInfo,
    GenModel,
    Label,
    Real,
    Recipe,
    Text,
    Trainer,
    TrainerConfig,
    Unit,
    create_model,
    load_dataset,
    train,
)
from genzoo.plugin import Grammar
from genzoo_datasets.grammars import DIGIT_CAPTIONS
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.fitted_text import FittedTextConfig
from genzoo_diffusion.guidance import make_denoiser, negative_signal, unconditional
from genzoo_diffusion.objectives import Denoising, DenoisingConfig
from genzoo_diffusion.samplers import DDIM, DDIMConfig, StepsConfig

SMALL = {"channels": (8, 8), "num_train_timesteps": 20, "schedule": "cosine"}
OF_TEXT = {"event": Unit(shape=(1, 8, 8)), "conditions": {"text": Text()}}
TEXT = {"width": 8, "num_layers": 1, "num_heads": 2}


def model(seed=0, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = FittedTextConfig.for_captions(DIGIT_CAPTIONS, **TEXT)
        return create_model("ddpm", **{**SMALL, **OF_TEXT, "text": text, **config})


def recipe(**config):
    return Recipe.from_dict(
        {
            "model": {
                "name": "ddpm",
                "config": {**SMALL, "conditions": ["text"], "text": TEXT, **config},
            },
            "data": {"name": "digits", "config": {"captions": True, "limit": 64}},
            "trainer": {"max_steps": 3, "batch_size": 8, "seed": 1, "warmup_steps": 0},
        }
    )


def test_words_are_those_of_the_datas_captions():
    info, of = load_dataset("digits", captions=True).info, ("text",)
    config = DDPM.configure(info, of, **SMALL, text=TEXT)
    assert config.conditions == {"text": Text(templates=DIGIT_CAPTIONS)}
    assert config.text.vocabulary == Grammar(DIGIT_CAPTIONS).words()
    assert (config.text.width, config.text.max_length) == (8, 8)
    assert DDPM.configure(info, of, **SMALL, text=FittedTextConfig(width=12)).text.width == 12
    given = DDPM.configure(info, of, **SMALL, text={"vocabulary": ["three"]})
    assert given.text.vocabulary == ("three",)
    assert not DDPM.configure(info, **SMALL).text.vocabulary


def test_it_is_trained_with_its_encoder_stored_and_loaded(tmp_path):
    before = train(Recipe.from_dict(recipe().to_dict() | {"trainer": {"max_steps": 1, "seed": 1}}))
    trained = train(recipe(), tmp_path / "run")
    name = "embedder.encoder.clip.embeddings.token_embedding.weight"
    assert not torch.equal(trained.state_dict()[name], before.state_dict()[name])
    loaded = GenModel.from_pretrained(tmp_path / "run")
    assert loaded.config == trained.config
    assert all(torch.equal(v, trained.state_dict()[k]) for k, v in loaded.state_dict().items())
    drawn = [m.sample(2, condition="the digit three", seed=0) for m in (trained, loaded)]
    assert torch.equal(*drawn)
    files = {path.name for path in (tmp_path / "run").rglob("*")}
    assert {"config.json", "unet", "text_encoder"} <= files
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)


def test_a_text_decides_what_is_drawn_and_a_seed_how():
    m = model()
    a, again, other = (m.sample(2, condition=text, seed=0) for text in ("three", "three", "four"))
    assert torch.equal(a, again)
    assert not torch.equal(a, other)
    both = m.sample(2, condition=["three", "four"], seed=0)
    torch.testing.assert_close(both[0], a[0])
    torch.testing.assert_close(both[1], other[1])
    torch.testing.assert_close(m.sample(2, condition="Three!", seed=0), a)


def test_a_text_of_no_known_word_is_refused_with_the_known_ones():
    with pytest.raises(ConditionError, match=r"no word that this model knows\. It knows: a, by"):
        model().sample(2, condition="una zapatilla")


@pytest.mark.parametrize("condition", [None, {}, "", ["three", ""]])
def test_a_model_that_has_not_learned_without_its_text_is_not_drawn_from_without(condition):
    with pytest.raises(ConditionError, match=r"needs a text|text \d is empty"):
        model(condition_dropout=0.0).sample(2, condition=condition)


def test_a_row_without_a_text_is_told_what_a_dropped_one_is():
    m = model()
    device, dropped = m.device, torch.tensor([True, False, True])
    texts = ["three", "four", "three"]
    told = m.embedder({"text": texts}, device, {"text": dropped}).tokens
    torch.testing.assert_close(told, m.signal(["", "four", ""], 3).tokens)
    null = m.embedder.null(3, device).tokens
    assert torch.equal(told[dropped], null[dropped])
    drawn = [m.sample(2, condition=c, seed=0) for c in (None, {}, "", {"text": ["", ""]})]
    assert all(torch.equal(drawn[0], other) for other in drawn[1:])


def test_a_negative_text_is_led_away_from():
    """ε_neg + s (ε_c − ε_neg) in each step: of one step, from the samplers' own states."""
    m = model()
    x_t = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    away = negative_signal(m, "four", None, 2, 3.0)
    t = torch.full((4,), 7)
    signal = m.signal("four", 2).stacked_with(m.signal("three", 2))
    both = m.predict(torch.cat([x_t, x_t]), t, signal)
    negative, told = both.chunk(2)
    guided = make_denoiser(m, "three", 2, 3.0, away)(x_t, 7)
    assert torch.equal(guided, negative + 3.0 * (told - negative))
    drawn = {
        n: m.sample(2, condition="three", seed=0, sampler=DDIM(guided_by(n)))
        for n in (None, "", "four")
    }
    by_name = DDIMConfig(
        num_inference_steps=4, guidance_scale=3.0, negative_condition={"text": "four"}
    )
    named = m.sample(2, condition="three", seed=0, sampler=DDIM(by_name))
    assert torch.equal(drawn["four"], named)
    assert torch.equal(drawn[None], drawn[""])
    assert not torch.equal(drawn[None], drawn["four"])


def test_a_negative_text_of_no_known_word_is_refused():
    for negative in ("una zapatilla", "7"):
        with pytest.raises(ConditionError, match="no word that this model knows"):
            model().sample(2, condition="three", sampler=DDIM(guided_by(negative)))


def guided_by(negative):
    return DDIMConfig(num_inference_steps=4, guidance_scale=3.0, negative_prompt=negative)


def test_guidance_goes_from_the_empty_text():
    m, x_t = model(), torch.randn(2, 1, 8, 8)
    t = torch.full((2,), 7)
    told = m.predict(x_t, t, m.signal("three", 2))
    nothing = m.predict(x_t, t, m.signal("", 2))
    torch.testing.assert_close(m.predict(x_t, t, unconditional(m, 2, 3.0)), nothing)
    guided = make_denoiser(m, "three", 2, 3.0)(x_t, 7)
    torch.testing.assert_close(guided, nothing + 3 * (told - nothing), atol=1e-5, rtol=1e-5)
    sampler = DDIM(DDIM.Config(num_inference_steps=2, guidance_scale=2.0))
    assert m.sample(2, condition="three", sampler=sampler, seed=0).shape == (2, 1, 8, 8)
    assert StepsConfig().guidance_scale == 1


@pytest.mark.parametrize("config", [{}, {"event": Real(shape=(4,))}], ids=["image", "flat"])
def test_what_a_text_is_told_as_does_not_hang_on_the_texts_beside_it(config):
    """Texts that stand several times are encoded once; rows and their order stay."""
    m = model(**config)
    texts = ["three", "", "four", "three", "three"]
    found = m.signal(texts, 5).tokens
    assert found.shape[0] == 5
    for row, text in zip(found, texts, strict=True):
        torch.testing.assert_close(row, m.signal([text], 1).tokens[0])
    rows = []
    m.embedder.encoder.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    m.sample(6, condition="three", seed=0)
    m.signal(texts, 5)
    assert rows == [1, 3]


def test_a_text_that_stands_twice_learns_from_both_rows():
    m = model()

    def slope(texts, weights):
        m.zero_grad()
        (m.signal(texts, len(texts)).tokens.sum((1, 2)) * torch.tensor(weights)).sum().backward()
        return m.embedder.encoder.clip.embeddings.token_embedding.weight.grad.clone()

    twice = slope(["three", "four", "three"], [1.0, 2.0, 3.0])
    torch.testing.assert_close(twice, slope(["three", "four"], [4.0, 2.0]), atol=1e-6, rtol=1e-4)


def test_flat_data_are_drawn_by_a_text(tmp_path):
    """Points at −2 for one word and at 2 for another: the words decide where samples lie."""
    x = torch.tensor([[-2.0], [2.0]]).repeat(64, 1) + 0.01 * torch.randn(
        128, 1, generator=torch.Generator().manual_seed(0)
    )
    info = DataInfo(fields={"x": Real(shape=(1,)), "text": Text()})
    data = ArrayDataset(x, info, "points", text=["low", "high"] * 64)
    torch.manual_seed(0)
    m = create_model(
        "ddpm",
        event=Real(shape=(1,)),
        hidden_dim=32,
        num_train_timesteps=50,
        schedule="cosine",
        conditions={"text": Text()},
        text={"vocabulary": ["low", "high"], **TEXT},
    )
    settings = TrainerConfig(max_steps=150, batch_size=64, warmup_steps=0, seed=0, progress=False)
    Trainer(m, data, Denoising(m, DenoisingConfig(lr=5e-3)), settings).fit()
    drawn = m.sample(40, condition=["low", "high"] * 20, seed=0).flatten()
    assert (drawn[::2] < 0).all()
    assert (drawn[1::2] > 0).all()
    m.save_pretrained(tmp_path / "points")
    loaded = GenModel.from_pretrained(tmp_path / "points")
    assert torch.equal(loaded.sample(40, condition=["low", "high"] * 20, seed=0).flatten(), drawn)


def test_a_model_with_a_frozen_encoder_stores_none_of_it(hub, tmp_path):
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    with torch.random.fork_rng(devices=[]):
        bert = transformers.BertModel(
            transformers.BertConfig(**sizes, vocab_size=16, max_position_embeddings=12)
        )
    bert.save_pretrained(tmp_path / "bert")
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "the", "digit", "three"]
    transformers.BertTokenizerFast(
        vocab={word: i for i, word in enumerate(words)}
    ).save_pretrained(tmp_path / "bert")
    files = {path.name: path.read_bytes() for path in (tmp_path / "bert").iterdir()}
    hub.put("ada/bert", files)
    from genzoo_diffusion.pretrained_text import PretrainedTextConfig

    frozen = PretrainedTextConfig.pinned("ada/bert", max_length=12).to_dict()
    trained = train(recipe(frozen_text=frozen), tmp_path / "run")
    assert all(name.startswith("network.") for name in trained.state_dict())
    a = trained.sample(2, condition="the digit three", seed=0)
    loaded = GenModel.from_pretrained(tmp_path / "run")
    assert torch.equal(loaded.sample(2, condition="the digit three", seed=0), a)
    assert not torch.equal(loaded.sample(2, condition="digit", seed=0), a)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"text": FittedTextConfig()}, r"needs words\. Give --data\.captions"),
    ],
)
def test_what_makes_no_model_of_texts_is_refused(config, why):
    with pytest.raises(ConfigError, match=why):
        model(**config)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"conditions": {"label": Label(num_classes=3)}}, "needs the field label .* Give data wi"),
        ({}, r"needs the field text of the data; they have x\. Give --data\.captions, or data"),
    ],
)
def test_data_without_the_conditions_that_a_model_learns_from_are_refused(config, says, tmp_path):
    info = DataInfo(fields={"x": Unit(shape=(1, 8, 8))})
    data = ArrayDataset(torch.rand(4, 1, 8, 8), info, "points")
    with pytest.raises(DataError, match=says):
        Trainer(model(**config), data, output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
