"""Learning rates and shares of a batch are their formulas, at the ends too."""

import itertools
import json
import math
import pickle
from pathlib import Path

import pytest
import torch

import families
import genzoo
from fitting import DATA, difference, fit
from genzoo import seeds
from genzoo.component import Component
from genzoo.data import DataConfig, as_dataset, from_array, prepare
from genzoo.objective import Loss, Objective
from genzoo.training import batches as reading, reading_ahead
from genzoo.training.batches import BatchPartition
from genzoo.training.config import resolve
from genzoo.training.players import _factor


def factors(indices, **values):
    factor = _factor(resolve(genzoo.TrainerConfig(**values), {}))
    return [factor(index) for index in indices]


def test_without_warm_up_a_schedule_falls_from_the_first_update_to_the_last():
    at = [0, 1, 5, 9, 10]
    assert factors(at, max_steps=10) == [1.0] * 5
    linear = factors(at, max_steps=10, lr_scheduler="linear")
    assert linear == pytest.approx([1, 0.9, 0.5, 0.1, 0], abs=1e-12)
    cosine = factors(at, max_steps=10, lr_scheduler="cosine")
    assert cosine == pytest.approx([(1 + math.cos(math.pi * i / 10)) / 2 for i in at], abs=1e-12)
    halves = factors(at, max_steps=10, lr_scheduler="constant-then-linear")
    assert halves == pytest.approx([1, 1, 1, 0.2, 0], abs=1e-12)


def test_a_schedule_of_one_update_or_of_warm_up_alone_begins_at_its_top():
    assert factors([0, 1], max_steps=1, lr_scheduler="linear") == [1.0, 0.0]
    assert factors([0, 1, 2], max_steps=2, warmup_steps=2, lr_scheduler="linear") == [
        0.5,
        1.0,
        1.0,
    ]
    assert factors([2, 3], max_steps=3, warmup_steps=2, lr_scheduler="linear") == [1.0, 0.0]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_training_without_warm_up_follows_its_schedule(schedule):
    """Three updates of gradient descent, written out: rates of 1, 3/4 and 1/2, or of a cosine."""
    shares = [0, 1 / 4, 1 / 2]
    falling = {"linear": lambda t: 1 - t, "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2}
    whole = DATA[:8]
    expected = families.linear()
    for t in shares:
        loss = ((expected.net(whole) - 1) ** 2).sum(1).mean()
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
                parameter -= 0.1 * falling[schedule](t) * gradient

    class ThreeOfFour(Exception):
        """What ends a training before its last update."""

    class Ended(families.LeastSquares):
        def losses(self, batch, step):
            if step.index == 3:
                raise ThreeOfFour
            yield from super().losses(batch, step)

    found = families.linear()
    optimizers = {"model": {"name": "sgd", "config": {"lr": 0.1}}}
    with pytest.raises(ThreeOfFour):
        fit(found, whole, Ended(found), lr_scheduler=schedule, max_steps=4, optimizers=optimizers)
    # Another order of rows and of summation, float32.
    assert difference(found, expected) < 1e-6


def test_a_batch_is_shared_by_micro_batches_times_processes():
    with pytest.raises(genzoo.ConfigError, match=r"2 micro-batches × 2 .* multiple of 4"):
        BatchPartition(6, micro_batches=2, num_processes=2, rank=0)
    with pytest.raises(genzoo.ConfigError, match="multiple of 2"):
        BatchPartition(1, micro_batches=1, num_processes=2, rank=1)
    both = [BatchPartition(8, micro_batches=2, num_processes=2, rank=rank) for rank in (0, 1)]
    assert [shares.slots() for shares in both] == [[0, 2], [1, 3]]
    rows = [list(shares.rows(1, slot)) for shares in both for slot in shares.slots()]
    assert rows == [[8, 9], [12, 13], [10, 11], [14, 15]]


def test_a_users_values_go_over_the_papers_and_another_optimiser_starts_afresh():
    values = {"lr": 2e-4, "betas": (0.5, 0.9), "weight_decay": 0.1}
    own = {"model": Component(name="adam", config=values)}

    def resolved(user, stage=None):
        prescribed = {} if stage is None else {"optimizers": {"model": stage}}
        config = genzoo.TrainerConfig.from_dict({"optimizers": {"model": user}})
        return resolve(config, prescribed, own).optimizers["model"].to_dict()

    values["betas"] = [0.5, 0.9]
    assert resolved({}) == {"name": "adam", "config": values}
    same = {"name": "adam", "config": {**values, "lr": 0.1}}
    assert resolved({"config": {"lr": 0.1}}) == resolved({**same, "config": {"lr": 0.1}}) == same
    assert resolved({"name": "sgd"}) == resolved("sgd") == {"name": "sgd", "config": {}}
    other = {"name": "rmsprop", "config": {"momentum": 0.9}}
    assert resolved(other) == other
    # A stage's go over the objective's, the user's over both.
    halved = {"config": {"lr": 1e-4, "eps": 1e-6}}
    assert resolved({"config": {"lr": 0.1}}, halved)["config"] == {**same["config"], "eps": 1e-6}
    assert resolved({"name": "adam"}, halved)["config"]["eps"] == 1e-6
    assert resolved({"config": {"momentum": 0.5}}, other)["config"] == {"momentum": 0.5}
    assert resolved({"name": "adam"}, other) == {"name": "adam", "config": {}}


class Halves(Objective):
    """Weights and biases are two players, of one loss that depends on both."""

    Config = families.None_

    @classmethod
    def optimizers(cls, config):
        return dict.fromkeys(("weights", "biases"), Component(name="adam"))

    def players(self):
        return {"weights": [self.model.net.weight], "biases": [self.model.net.bias]}

    def losses(self, batch, step):
        weight, bias = self.model.net.weight, self.model.net.bias
        for player, other in (("weights", bias), ("biases", weight)):
            before = None if other.grad is None else other.grad.clone()
            yield Loss(((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean(), player)
            assert (before is None) == (other.grad is None)
            assert before is None or torch.equal(before, other.grad)


def test_a_loss_gives_its_own_player_a_gradient_and_no_other():
    model = families.linear()
    fit(model, objective=Halves(model))


class Drawing(Objective):
    """A game of two moves that draws from the default generator, and in places twice."""

    Config = families.None_

    def __init__(self, model, config=None, more=()):
        super().__init__(model, config)
        self.more, self.drawn = more, {}

    def losses(self, batch, step):
        for move in range(2):
            place = step.index, step.slot, move
            self.drawn[place] = torch.rand(()).item()
            torch.rand(3 if place in self.more else 0)
            yield Loss((self.model.net(batch["x"]) ** 2).mean())


def test_what_a_move_draws_from_the_default_generator_depends_on_its_place_alone():
    """Of update, micro-batch and move; not on what was drawn before, so that a run resumes."""

    def drawn(more=(), **config):
        model = families.linear()
        game = Drawing(model, more=more)
        fit(model, objective=game, num_micro_batches=2, max_steps=3, **config)
        return game.drawn

    stage = seeds.derive_seed(7, 0)
    expected = {
        place: torch.rand((), generator=seeds.generator(seeds.derive_seed(stage, *place))).item()
        for place in itertools.product(range(3), range(2), range(2))
    }
    assert len({*expected.values()}) == 12
    assert drawn(seed=7) == drawn(seed=7, more=[(0, 0, 0), (1, 1, 1)]) == expected


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_loss_that_is_logged_is_the_mean_over_micro_batches(parts, tmp_path):
    rows, start = DATA[:8], families.linear()
    losses = ((start.net(rows) - 1) ** 2).sum(1).detach()
    assert losses.std() > 0.1  # So that no part's loss passes for the mean.
    config = genzoo.TrainerConfig(
        max_steps=1, batch_size=8, logging_steps=1, num_micro_batches=parts, progress=False
    )
    genzoo.Trainer(start, rows, config=config, output_dir=tmp_path / "run").fit()
    (line,) = Path(tmp_path, "run", "metrics.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["model/loss"] == pytest.approx(losses.mean().item(), rel=1e-6)


def test_batches_are_read_in_this_process_where_nobody_asks_for_others(monkeypatch):
    monkeypatch.setattr(
        reading_ahead, "DataLoader", lambda *args, **named: pytest.fail("A process.")
    )
    data = as_dataset(DATA)
    found = list(reading.batches(data, BatchPartition(4, 2, 1, 0), seed=0, first=0, last=3))
    assert [[len(batch["x"]) for batch in update] for update in found] == [[2, 2]] * 3


class DrawnRows(genzoo.data.ArrayDataset):
    """Rows that are drawn anew at each presentation."""

    def batch(self, indices, generator=None):
        return {"x": torch.rand(len(indices), generator=generator)}


def test_rows_that_are_drawn_have_a_seed_of_their_own():
    """(seed, "data", update, slot), through parts and selected fields, and for a subclass."""
    x = torch.full((20, 1, 2, 2), 0.5)
    data = from_array(x, "grey")
    shares, update, slot = BatchPartition(4, 2, 1, 0), 3, 1
    generator = seeds.generator(seeds.derive_seed("data", 7, update, slot))
    dynamic = prepare(data, DataConfig(binarize="dynamic", limit=10), "x")
    drawn = DrawnRows(x, data.info, "drawn")
    assert not data.draws
    for rows, expected in [
        (dynamic, lambda: (torch.rand(2, 1, 2, 2, generator=generator) < 0.5).float()),
        (drawn, lambda: torch.rand(2, generator=generator)),
    ]:
        assert rows.draws
        assert rows.select(["x"]).draws
        found = list(reading.batches(rows, shares, seed=7, first=0, last=4))[update][slot]["x"]
        generator.manual_seed(seeds.derive_seed("data", 7, update, slot))
        assert torch.equal(found, expected())


def test_seeds_with_equal_first_parts_are_derived_alike():
    derived = pickle.loads(pickle.dumps(seeds.Derived(2**62, "a'b")))
    for parts in [(0,), (3, 4), (2**40, 0, 1)]:
        assert derived.seed(*parts) == seeds.derive_seed(2**62, "a'b", *parts)
