"""Numbers as people give them: numpy's are taken, and what is not a number is named."""

import numpy as np
import pytest
import torch

import families
import genzoo
from genzoo import registry, seeds
from genzoo.capabilities import SupportsLogProb
from genzoo.errors import ConfigError, DataError
from genzoo.evaluation import evaluate
from genzoo.testing import Case
from likelihoods import mean_log_prob

WRONG_SEEDS = [2**63, 2**64, -1, 1.5, "1", True, np.bool_(True), np.float64(1)]


@pytest.mark.parametrize("seed", WRONG_SEEDS, ids=repr)
def test_what_is_not_a_seed_is_named(seed):
    model = families.linear(size=4)
    for use in (
        lambda: model.sample(1, seed=seed),
        lambda: evaluate(model, families.rows(8, 4), seed=seed),
        lambda: seeds.checked(seed),
    ):
        with pytest.raises(ConfigError, match=r"A seed is a whole number from 0 to 2\*\*63 - 1"):
            use()


def test_a_seed_of_numpy_is_the_same_seed():
    model = families.linear(size=4)
    ours, theirs = model.sample(3, seed=3), model.sample(np.int64(3), seed=np.int64(3))
    assert torch.equal(ours, theirs)
    assert torch.equal(model.sample(2, seed=2**63 - 1), model.sample(2, seed=np.uint64(2**63 - 1)))


@pytest.mark.parametrize("num", [0, -1, 1.0, "3", True, np.int64(0)], ids=repr)
def test_what_is_not_a_number_of_samples_is_named(num):
    with pytest.raises(ConfigError, match="num must be a whole number of at least 1"):
        families.linear(size=4).sample(num)


def test_configs_take_numbers_of_numpy_and_store_pythons():
    config = genzoo.TrainerConfig(seed=np.int64(3), max_grad_norm=np.float32(0.5))
    assert (type(config.seed), type(config.max_grad_norm)) == (int, float)
    assert config.to_dict() == genzoo.TrainerConfig(seed=3, max_grad_norm=0.5).to_dict()
    for wrong in (np.float64(3.0), np.bool_(True), np.array([3])):
        with pytest.raises(ConfigError, match="must be a whole number"):
            genzoo.TrainerConfig(seed=wrong)
    with pytest.raises(ConfigError, match="must be finite"):
        genzoo.TrainerConfig(max_grad_norm=np.float32("inf"))


INSTALLED = [entry.name for entry in registry.entries("models") if entry.distribution]


@pytest.fixture(params=INSTALLED)
def example(request):
    """A name, a model made from its example in float64, and data for it."""
    cls = registry.load("models", request.param)
    case = Case(request.param, cls)
    return case, cls(cls.example()[0]).double()


def test_models_of_float64_train_and_draw_one_sample(example):
    case, model = example
    config = genzoo.TrainerConfig(max_steps=2, batch_size=4, threads=1, ema_decay=0.5)
    genzoo.Trainer(model, case.data(), config=config).fit()
    floating = [t for t in model.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in floating} == {torch.float64}
    x = model.sample(1, condition=case.condition(model, 1), seed=0)
    assert tuple(x.shape) == (1, *(() if model.event_shape == () else model.event_shape))


def test_rows_of_any_real_type_have_the_likelihood_of_float32_rows(example):
    """Rows are turned into the model's own type, in which zeros and ones are exact."""
    case, model = example
    if not isinstance(model, SupportsLogProb):
        pytest.skip(f"{case.name} has no likelihood")

    def likelihood(rows):
        options = {"generator": torch.Generator().manual_seed(0), "num_samples": 4}
        return mean_log_prob(model, rows, condition=case.condition(model, 3), **options)

    # Zeros and ones are rows of every kind, and numbers of every type.
    rows = families.rows(3, *model.event_shape, binary=True)
    for own in (torch.float32, torch.float64):
        model.to(own)
        expected = likelihood(rows)
        for dtype in (torch.float16, torch.float64, torch.uint8, torch.int64, torch.bool):
            found = likelihood(rows.to(dtype))
            assert (found.value, found.std_error) == (expected.value, expected.std_error), dtype
    with pytest.raises(DataError, match="takes real numbers"):
        likelihood(rows.to(torch.complex64))


def test_models_of_float32_draw_one_sample(example):
    case, model = example
    model.float()
    x = model.sample(1, condition=case.condition(model, 1), seed=0)
    assert len(x) == 1
    assert torch.isfinite(x).all()
