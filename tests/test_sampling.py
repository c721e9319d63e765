"""Samples in blocks: what a seed means, what a condition is, what is left untouched."""

import dataclasses
import io
import math
import random
import sys
from typing import Annotated

import numpy as np
import pytest
import torch
from tqdm import tqdm

import families
import genzoo
import genzoo.plugin
from genzoo import progress, sampling, seeds
from genzoo.errors import ConditionError, ConfigError, DataError, NotFiniteSampleError
from genzoo.sampler import Sampler


def seeded(cls, seed=0, **config):
    """Return a toy with seeded weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(dataclasses.replace(cls.example()[0], **config))


class Told(Sampler):
    """Yields noise, and keeps what it was told."""

    Config = families.None_

    def __init__(self):
        super().__init__()
        self.told = []

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        self.told.append((num, start, condition, generator.initial_seed()))
        shape = (num, *model.event_shape)
        yield torch.full(shape, 7.0)
        yield torch.randn(shape, generator=generator)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig(families.ToyConfig):
    """A toy that is given a text."""

    conditions: genzoo.plugin.ConditionSpaces = dataclasses.field(
        default_factory=lambda: {"text": genzoo.Text()}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BothConfig(families.ToyConfig):
    """A toy that is given a label and a text."""

    conditions: genzoo.plugin.ConditionSpaces = dataclasses.field(
        default_factory=lambda: {"label": genzoo.Label(num_classes=3), "text": genzoo.Text()}
    )
    condition_dropout: Annotated[float, genzoo.plugin.Bounds(0.0, 1.0)] = 0.0


class Described(families.Linear):
    """Takes a text, and makes three samples at once."""

    Config = TextConfig
    condition_spaces = (genzoo.Text,)

    @property
    def default_batch_size(self):
        return 3


class Attributed(families.Linear):
    """Makes four samples at once, as an attribute of the class says."""

    default_batch_size = 4

    def __init__(self):
        super().__init__(MODEL.config)


MODEL = families.linear()
VAE = seeded(families.VAE)
CYCLE = seeded(families.Cycle)
TEXT = Described(TextConfig(event=MODEL.event))


def told(model, num, **kwargs):
    sampler = Told()
    model.sample(num, sampler=sampler, seed=kwargs.pop("seed", 7), **kwargs)
    return sampler.told


# Seeds and blocks.


def test_a_seed_gives_the_same_samples_and_another_seed_others():
    assert torch.equal(MODEL.sample(5, seed=1), MODEL.sample(5, seed=1))
    assert not torch.equal(MODEL.sample(5, seed=1), MODEL.sample(5, seed=2))


def test_no_seed_means_a_fresh_one():
    assert not torch.equal(MODEL.sample(5), MODEL.sample(5))


@pytest.mark.parametrize("num", [1, 3, 4, 5, 11])
def test_for_a_batch_size_the_samples_do_not_depend_on_their_number(num):
    for model, condition in ((MODEL, None), (VAE, torch.arange(12) % 3)):
        many = model.sample(12, seed=3, batch_size=4, condition=condition)
        given = None if condition is None else condition[:num]
        few = model.sample(num, seed=3, batch_size=4, condition=given)
        assert torch.equal(few, many[:num])


def test_blocks_are_seeded_apart_and_the_first_by_the_seed_itself():
    blocks = told(MODEL, 10, batch_size=4, seed=5)
    assert [block[0] for block in blocks] == [4, 4, 4]
    assert [block[3] for block in blocks] == [5, seeds.derive_seed(5, 1), seeds.derive_seed(5, 2)]


def test_the_first_block_is_what_the_sampler_draws_from_that_seed():
    by_hand = MODEL.net(torch.randn(4, 3, generator=seeds.generator(5)))
    found = MODEL.sample(4, seed=5)
    assert torch.equal(found, by_hand.detach())


def test_without_a_batch_size_blocks_are_equal_and_as_few_as_the_models_default_allows():
    assert MODEL.default_batch_size == 64
    assert [block[0] for block in told(MODEL, 9)] == [9]
    assert [block[0] for block in told(MODEL, 64)] == [64]
    assert [block[0] for block in told(MODEL, 65)] == [33, 33]
    assert [block[0] for block in told(MODEL, 130)] == [44, 44, 44]
    assert [block[0] for block in told(Attributed(), 7)] == [4, 4]
    assert [block[0] for block in told(Described(TEXT.config), 7, condition="a")] == [3, 3, 3]
    assert MODEL.sample(130).shape == (130, 3)


@pytest.mark.parametrize("num", range(1, 200, 7))
def test_of_k_blocks_fewer_than_k_rows_are_drawn_for_nothing(num):
    blocks = [block[0] for block in told(MODEL, num)]
    assert len(blocks) == -(-num // 64)
    assert 0 <= sum(blocks) - num < len(blocks)


@pytest.mark.parametrize("model", [MODEL, VAE])
def test_one_sample_is_drawn_alone(model):
    """No module sees a second row, whatever the model's default is."""
    rows = []
    hooks = [
        module.register_forward_hook(lambda module, given, out: rows.append(len(out)))
        for module in model.modules()
    ]
    model.sample(1, seed=0, condition=None if model is MODEL else 1)
    for hook in hooks:
        hook.remove()
    assert set(rows) == {1}


def test_a_seed_means_the_same_samples_for_one_block_size_alone():
    """Noise is drawn for a block at once, so three rows of a hundred are not three of three."""
    many = MODEL.sample(100, seed=0)
    assert not torch.equal(MODEL.sample(3, seed=0), many[:3])
    assert torch.equal(MODEL.sample(3, seed=0, batch_size=50), many[:3])
    assert torch.equal(MODEL.sample(100, seed=0, batch_size=50), many)
    assert sampling.block_size(MODEL, 100) == 50


@pytest.mark.parametrize("size", [0, -1, 2.0, None, True, "8"])
def test_a_default_batch_size_that_is_none_is_refused(size):
    model = Attributed()
    model.default_batch_size = size
    with pytest.raises(
        ConfigError, match=r"Attributed\.default_batch_size must be a whole number"
    ):
        model.sample(3)
    assert model.sample(3, batch_size=2).shape == (3, 3)


def test_a_batch_size_is_the_power_of_two_at_which_the_widest_layer_has_two_million_values():
    """Above, by twice as much at most; and never more than 1024 rows, nor less than one."""
    values = [1, 500, 2**11, 2**11 + 1, 16 * 28 * 28, 64 * 32 * 32, 2**21, 10**9]
    sizes = [genzoo.plugin.batch_size_for(num) for num in values]
    assert sizes == [1024, 1024, 1024, 512, 128, 32, 1, 1]
    fitting = zip(values[2:7], sizes[2:7], strict=True)
    assert all(2**20 < num * size <= 2**21 for num, size in fitting)
    with pytest.raises(ConfigError, match="num_values must be a whole number of at least 1"):
        genzoo.plugin.batch_size_for(0)


def test_the_last_state_of_a_trajectory_is_the_sample():
    x = MODEL.sample(4, sampler=Told(), seed=5)
    assert torch.equal(x, torch.randn(4, 3, generator=seeds.generator(5)))


def test_samples_are_presented_in_the_units_of_x():
    model = families.linear()
    model.to_data = lambda state: 10 * state
    assert torch.equal(model.sample(4, seed=1), 10 * MODEL.sample(4, seed=1))


def test_conditions_are_sliced_then_padded_with_the_last():
    blocks = told(VAE, 5, batch_size=3, condition=torch.tensor([0, 1, 2, 1, 0]))
    assert [block[2]["label"].tolist() for block in blocks] == [[0, 1, 2], [1, 0, 0]]
    blocks = told(TEXT, 3, batch_size=2, condition=["a", "b", "c"])
    assert [block[2]["text"] for block in blocks] == [["a", "b"], ["c", "c"]]


def test_states_to_start_from_are_sliced_then_padded_with_the_last():
    start = torch.arange(5.0)
    blocks = told(MODEL, 5, batch_size=3, start=start)
    assert [block[1].tolist() for block in blocks] == [[0, 1, 2], [3, 4, 4]]
    with pytest.raises(DataError, match="4 samples need 4 states to start from, got 5"):
        MODEL.sample(4, start=start)


@pytest.mark.parametrize("num", [0, -1, 2.0, True, "3", None])
def test_a_number_that_is_none_is_refused(num):
    with pytest.raises(ConfigError, match="num must be a whole number of at least 1"):
        MODEL.sample(num)


@pytest.mark.parametrize("size", [0, -1, 2.0, False])
def test_a_batch_size_that_is_none_is_refused(size):
    with pytest.raises(ConfigError, match="batch_size must be a whole number of at least 1"):
        MODEL.sample(3, batch_size=size)


# Conditions.


def test_one_condition_serves_all_samples():
    (block,) = told(VAE, 3, condition=2)
    assert block[2]["label"].tolist() == [2, 2, 2]
    assert block[2]["label"].dtype == torch.int64
    (block,) = told(TEXT, 3, condition="a cat")
    assert block[2] == {"text": ["a cat"] * 3}
    image = families.rows(1, 4, 4)
    for num in (1, 3):
        (block,) = told(CYCLE, num, condition=image)
        assert torch.equal(block[2]["y"], image.expand(num, 1, 4, 4))


@pytest.mark.parametrize(
    "condition", [[0, 1, 2], (0, 1, 2), np.array([0, 1, 2]), torch.tensor([0, 1, 2]).byte()]
)
def test_labels_come_in_any_container(condition):
    expected = VAE.sample(3, seed=1, condition=torch.tensor([0, 1, 2]))
    assert torch.equal(VAE.sample(3, seed=1, condition=condition), expected)


def test_a_condition_is_heeded():
    same = {"seed": 1, "num": 3}
    assert not torch.equal(VAE.sample(condition=0, **same), VAE.sample(condition=1, **same))
    source = families.rows(3, 1, 4, 4)
    x = CYCLE.sample(condition=source, **same)
    assert x.shape == (3, 1, 4, 4)
    assert not torch.equal(x, CYCLE.sample(condition=1 - source, **same))


@pytest.mark.parametrize(
    ("model", "condition"),
    [
        (VAE, [0, 1]),
        (VAE, torch.zeros(4, dtype=torch.long)),
        (CYCLE, families.rows(2, 1, 4, 4)),
        (TEXT, ["a", "b"]),
        (TEXT, []),
    ],
)
def test_a_wrong_number_of_conditions_is_refused(model, condition):
    with pytest.raises(ConditionError, match=f"3 samples need 3 conditions, got {len(condition)}"):
        model.sample(3, condition=condition)


def test_a_superfluous_condition_is_refused():
    with pytest.raises(ConditionError, match="Linear takes no condition, got 1"):
        MODEL.sample(3, condition=1)


@pytest.mark.parametrize(("model", "kind"), [(VAE, "label"), (CYCLE, "y"), (TEXT, "text")])
def test_a_missing_condition_is_named(model, kind):
    with pytest.raises(ConditionError, match=f"needs a {kind} for each sample"):
        model.sample(3)


@pytest.mark.parametrize(
    ("model", "condition", "message"),
    [
        (VAE, "cat", "'cat' is neither an index from 0 to 2 nor a name"),
        (VAE, 1.5, "a label for each sample. A label is a whole number; got .* torch.float32"),
        (VAE, [0.0, 1.0, 2.0], "got values of torch.float32"),
        (VAE, [[0], [1], [2]], r"shape \(\) for each label, .* got a tensor of shape \(3, 1\)"),
        (VAE, {"lable": 1}, "VAE has no condition 'lable'. Did you mean 'label'"),
        (CYCLE, 1, r"shape \(1, 4, 4\) for each y, .*got a tensor of shape \(\)"),
        (CYCLE, torch.zeros(3, 4), r"got a tensor of shape \(3, 4\)"),
        (TEXT, 5, "A text, or a list of texts, was asked for; got 5"),
        (TEXT, ["a", 1, "b"], "A text, or a list of texts"),
    ],
)
def test_a_condition_of_another_kind_is_refused(model, condition, message):
    with pytest.raises(ConditionError, match=message):
        model.sample(3, condition=condition)


@pytest.mark.parametrize(
    ("model", "condition", "message"),
    [
        (VAE, 3, r"takes labels from 0 to 2; label 0 is 3"),
        (VAE, [0, -1, 2], r"VAE needs a label for each row; 1 of 3 have none, the first is row 1"),
        (CYCLE, torch.full((1, 4, 4), math.nan), "y 0 holds nan"),
        (TEXT, ["a", "", ""], "needs a text for each row; 2 of 3 have none, the first is row 1"),
    ],
)
def test_a_condition_that_the_model_does_not_know_is_refused(model, condition, message):
    with pytest.raises(ConditionError, match=message):
        model.sample(3, condition=condition)


def test_a_condition_is_given_by_name_and_reaches_the_sampler_as_a_mapping():
    assert told(MODEL, 2)[0][2] == {}
    for given in (2, [2, 2], {"label": 2}, {"label": torch.tensor([2, 2])}):
        condition = told(VAE, 2, condition=given)[0][2]
        assert list(condition) == ["label"]
        assert condition["label"].tolist() == [2, 2]
    assert told(TEXT, 2, condition="a")[0][2] == {"text": ["a", "a"]}


class Both(families.Linear):
    """Is given a label and a text, and has learned to do without."""

    Config = BothConfig
    condition_spaces = (genzoo.Label, genzoo.Text)


def test_of_several_conditions_each_is_named_and_what_is_left_out_is_null():
    model = Both(BothConfig(event=MODEL.event, condition_dropout=0.1))
    with pytest.raises(
        ConditionError, match=r"has the conditions label, text\. Name what is given"
    ):
        model.sample(2, condition=1)
    condition = told(model, 2, condition={"text": ["a", ""]})[0][2]
    assert condition["text"] == ["a", ""]
    assert condition["label"].tolist() == [-1, -1]
    assert told(model, 1)[0][2]["text"] == [""]
    strict = Both(BothConfig(event=MODEL.event))
    with pytest.raises(ConditionError, match=r"Both needs a text for each .*--text in a shell"):
        strict.sample(2, condition={"label": 1})


# What is left untouched.


def test_sampling_is_in_eval_mode_and_each_part_is_put_back():
    model = seeded(families.GAN).train()
    model.generator[1].eval()
    modes = [module.training for module in model.modules()]
    x = model.sample(6, seed=0)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(x, model.eval().sample(6, seed=0))


def test_batch_statistics_are_neither_used_nor_changed():
    model = seeded(families.GAN).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = model.sample(6, seed=0)
    assert torch.equal(x[:1], model.eval().sample(1, seed=0, batch_size=6))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_modes_are_put_back_after_an_error():
    class Failing(Told):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            yield model.net.training.no_such_attribute

    model = families.linear().train()
    with pytest.raises(AttributeError):
        model.sample(3, sampler=Failing())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("wrong", ["gibbs", genzoo.Component(name="gibbs"), Sampler])
def test_what_is_not_a_sampler_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"genzoo\.plugin\.Sampler, got .*by its name"):
        MODEL.sample(3, sampler=wrong)
    with pytest.raises(ConfigError, match=r"instance of genzoo\.plugin\.Sampler"):
        genzoo.evaluate(MODEL, torch.randn(9, 2), sampler=wrong)


@pytest.mark.parametrize("seed", [None, 3])
def test_global_generators_are_untouched(seed):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    MODEL.sample(100, seed=seed)
    VAE.sample(3, seed=seed, condition=0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_samples_have_no_gradient():
    assert MODEL.net.weight.requires_grad
    assert not MODEL.sample(3, seed=0).requires_grad
    assert torch.is_grad_enabled()


# Samples that are not finite.


def test_a_sample_that_is_not_finite_names_the_first_module_to_go_wrong():
    """Of weights that are finite, and so large that their sums are not."""
    model = seeded(families.GAN)
    model.generator[2].weight.data.fill_(3e38)
    with pytest.raises(NotFiniteSampleError, match=r"was generator\.2 \(Linear\)\. The weights"):
        model.sample(3, seed=0)
    model.generator[0].weight.data.fill_(3e38)
    with pytest.raises(NotFiniteSampleError, match=r"was generator\.0 \(Linear\)"):
        model.sample(3, seed=0)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_later_block_is_looked_at_too_and_the_padding_is():
    start = torch.zeros(5, 3)
    start[4] = 4

    class Started(Told):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            yield model.net(torch.where(start == 4, torch.nan, start))

    with pytest.raises(NotFiniteSampleError, match="was net"):
        MODEL.sample(5, sampler=Started(), start=start, batch_size=2)


def test_where_no_module_is_to_blame_the_model_or_sampler_is():
    class Broken(Told):
        def trajectory(self, model, num, *, start=None, condition=None, generator):
            yield torch.full((num, 3), torch.nan)

    with pytest.raises(NotFiniteSampleError, match="was Linear itself, or its sampler"):
        MODEL.sample(3, sampler=Broken())


# What is shown meanwhile.


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self):
        return True


class Counted(families.Fixed):
    """Knows beforehand how many states it yields."""

    def num_states(self, model):
        return len(list(self.trajectory(model, 1, generator=torch.Generator())))


@pytest.mark.parametrize("cls", [families.Fixed, Counted])
def test_a_bar_on_a_terminal_counts_the_states_of_all_blocks(cls, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    updates = []
    monkeypatch.setattr(tqdm, "update", lambda self, n=1: updates.append(self.total))
    MODEL.sample(5, batch_size=2, seed=0, sampler=cls())
    states = len(list(cls().trajectory(MODEL, 2, generator=torch.Generator())))
    assert updates == [3 * states if cls is Counted else None] * 3 * states
    assert "Sampling" in sys.stderr.getvalue()


def test_where_there_is_no_terminal_nothing_is_written(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    MODEL.sample(5, batch_size=2, seed=0)
    assert sys.stderr.getvalue() == ""


def test_every_state_of_every_block_is_shown_to_who_watches():
    seen = []
    request = sampling.Request(5, None, Told(), None, 2)
    x = sampling.draw(MODEL, request, 3, lambda k, state: seen.append((k, state)))
    assert [k for k, _ in seen] == [0, 0, 1, 1, 2, 2]
    assert torch.equal(torch.cat([state for _, state in seen[1::2]])[:5], x)
