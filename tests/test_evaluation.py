"""Evaluation: which figures are available, what they are, and what they share."""

import logging
import math

import pytest
import torch

import families
from genzoo import Label, Real, registry, seeds
from genzoo.component import Component
from genzoo.data import as_dataset, from_array, load_dataset, subset
from genzoo.errors import CapabilityError, ConfigError, DataError, UnknownNameError
from genzoo.estimate import Estimate, mean_of
from genzoo.evaluation import Metric, evaluate
from judged import ROWS, Exact, model
from judges import LabelledReplay, Replay, case

LIKELIHOODS = {"log-likelihood", "bits-per-dimension", "independent-pixels"}
NAMES = ["independent-pixels", "log-likelihood"]


class Labelled(Exact):
    Config = families.LabelledConfig
    condition_spaces = (Label,)


@pytest.fixture
def metric():
    """Registers metrics that go away with the test."""
    before = dict(registry._local)
    yield lambda name: registry.register("metrics", name)
    registry._local.clear()
    registry._local.update(before)


class Noisy(Metric):
    """A draw."""

    Config = families.None_

    def compute(self, case):
        value = torch.rand((), generator=case.generator).item()
        figure = Estimate(
            value=value, std_error=0.0, kind="stochastic estimate", unit="nats", num_samples=1
        )
        return {"noisy": figure}


# What is available.


def test_all_is_judged_that_capabilities_and_data_allow():
    assert set(evaluate(model(), ROWS).figures) == LIKELIHOODS
    assert set(evaluate(model(families.Autoregressive), ROWS).figures) == {"independent-pixels"}


def test_only_what_is_asked_for_is_judged():
    assert set(evaluate(model(), ROWS, ["independent-pixels"]).figures) == {"independent-pixels"}


def test_a_log_likelihood_is_given_in_nats_and_in_bits_per_dimension():
    figures = evaluate(model(), ROWS, ["log-likelihood"]).figures
    nats, bits = figures["log-likelihood"], figures["bits-per-dimension"]
    assert set(figures) == {"log-likelihood", "bits-per-dimension"}
    assert (nats.unit, bits.unit) == ("nats", "bits/dim")
    assert bits.value == pytest.approx(-nats.value / (4 * math.log(2)))
    assert bits.std_error == pytest.approx(nats.std_error / (4 * math.log(2)))


def test_a_metric_is_named_with_fields_of_its_config():
    judged = model()
    evaluate(judged, ROWS, ["log-likelihood"])
    assert judged.num_samples is None
    named = Component(name="log-likelihood", config={"num_samples": 7})
    provenance = evaluate(judged, ROWS, [named]).figures["log-likelihood"].provenance
    assert judged.num_samples == 7
    assert provenance["metric"] == "log-likelihood"
    assert provenance["metric_config"] == {"num_samples": 7}
    with pytest.raises(ConfigError, match="LogLikelihoodConfig has no field 'num_sample'"):
        evaluate(judged, ROWS, [Component(name="log-likelihood", config={"num_sample": 7})])


def test_a_metric_that_is_not_of_the_default_set_must_be_named(metric):
    @metric("special")
    class Special(Noisy):
        is_default = False

    assert set(evaluate(model(), ROWS).figures) == LIKELIHOODS
    assert set(evaluate(model(), ROWS, ["special"]).figures) == {"noisy"}


def test_a_metric_that_needs_more_rows_than_are_judged_is_left_out(metric):
    @metric("greedy")
    class Greedy(Noisy):
        min_examples = 20

    assert "noisy" in evaluate(model(), ROWS).figures
    assert "noisy" in evaluate(model(), ROWS, max_examples=20).figures
    assert "noisy" not in evaluate(model(), ROWS, max_examples=19).figures
    with pytest.raises(
        CapabilityError, match=r"greedy \(at least 20 rows are needed; there are 19"
    ):
        evaluate(model(), ROWS, ["greedy"], max_examples=19)


def test_a_metric_that_cannot_be_had_says_why():
    with pytest.raises(CapabilityError) as caught:
        evaluate(families.linear(size=4), families.rows(5, 4), NAMES)
    assert str(caught.value) == (
        "Linear does not support independent-pixels (it is for binary data, not unit); "
        "log-likelihood (the model does not give a log-likelihood)."
    )


def test_a_baseline_without_a_training_mean_says_so():
    data = from_array(ROWS, "rows")
    assert "x" not in data.info.mean
    assert set(evaluate(model(), data).figures) == LIKELIHOODS - {"independent-pixels"}
    with pytest.raises(CapabilityError, match="the mean of the training data is not known"):
        evaluate(model(), data, ["independent-pixels"])


def test_a_conditional_likelihood_needs_data_with_conditions():
    found = evaluate(model(Labelled), ROWS)
    assert set(found.figures) == {"independent-pixels"}
    with pytest.raises(CapabilityError, match="conditioned on label; the data have none"):
        evaluate(model(Labelled), ROWS, ["log-likelihood"])
    judged = model(Labelled)
    label = torch.arange(50) % 3
    data = from_array(ROWS, "rows", label=label)
    assert "log-likelihood" in evaluate(judged, data, max_examples=9).figures
    assert torch.equal(judged.asked[2]["label"], label[subset(data, 9).rows])


def test_near_names_are_offered_for_an_unknown_metric():
    with pytest.raises(UnknownNameError, match=r"metric 'log-likelyhood'.*mean 'log-likelihood'"):
        evaluate(model(), ROWS, ["log-likelyhood"])


def test_a_broken_metric_is_left_out_with_a_warning(metric, caplog):
    @metric("broken")
    class Broken(Noisy):
        def __init__(self, config=None):
            raise ZeroDivisionError("by nought")

    with caplog.at_level(logging.WARNING, "genzoo"):
        found = evaluate(model(), ROWS)
    assert set(found.figures) == LIKELIHOODS
    (record,) = caplog.records
    assert record.getMessage() == "The metric broken is left out: ZeroDivisionError: by nought"
    assert found.left_out["broken"] == "it cannot be loaded (ZeroDivisionError: by nought)"
    with pytest.raises(ZeroDivisionError):
        evaluate(model(), ROWS, ["broken"])


def test_metrics_that_need_a_package_are_left_out_with_the_line_that_installs_it(
    tmp_path, monkeypatch
):
    (tmp_path / "crumbling.py").write_text("import a_module_that_nobody_has\n")
    info = tmp_path / "crumbling-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crumbling\nVersion: 1.0\n")
    points = [f"{name} = crumbling:Metric [some]" for name in ("crumbling", "decaying")]
    (info / "entry_points.txt").write_text("\n".join(["[genzoo.metrics]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.refresh()
    try:
        found = evaluate(model(), ROWS)
    finally:
        monkeypatch.undo()
        registry.refresh()
    assert set(found.figures) == LIKELIHOODS
    reason = (
        "needs the module 'a_module_that_nobody_has', which is not installed. Try: pip install "
        "'crumbling[some]'"
    )
    needing = {name: found.left_out[name] for name in ("crumbling", "decaying")}
    assert needing == dict.fromkeys(needing, reason)
    assert f"Left out: crumbling, decaying: {reason}." in str(found).splitlines()


# Data.


def test_data_of_another_shape_are_refused_with_both_shapes():
    with pytest.raises(
        DataError, match=r"models 4: zeros and ones; .* they have shape \(5,\), not \(4,\)"
    ):
        evaluate(model(), families.rows(6, 5, binary=True))


def test_data_of_another_kind_are_refused_with_both_kinds():
    with pytest.raises(DataError, match=r"models binary data; these are unit, in \[0, 1\].*binar"):
        evaluate(model(), families.rows(6, 4))
    with pytest.raises(DataError, match=r"these are real, in \[0, 8.5\].*--data.scale 8.5"):
        evaluate(model(), torch.tensor([[0.0, 8.5, 1.0, 1.0]]))


@pytest.mark.parametrize("seed", [0, 3])
def test_at_most_so_many_rows_are_used_drawn_by_the_seed(seed):
    found = evaluate(model(), ROWS, ["log-likelihood"], max_examples=7, seed=seed)
    figure = found.figures["log-likelihood"]
    rows = ROWS[subset(from_array(ROWS, "rows"), 7, seed=seed).rows]
    expected = model().conditionals(rows).log_prob(rows).sum(1).mean().item()
    assert figure.value == pytest.approx(expected)
    assert figure.num_samples == found.provenance["examples"] == 7


def test_all_rows_are_used_in_their_own_order_where_they_are_few(metric):
    seen = []

    @metric("rows")
    class Rows(Noisy):
        def compute(self, case):
            seen.append(case.batch["x"])
            return super().compute(case)

    provenance = evaluate(model(), ROWS, ["rows"], max_examples=50).provenance
    assert torch.equal(seen[0], ROWS)
    assert (provenance["examples"], provenance["examples_of"]) == (50, 50)
    assert "draw" not in provenance


@pytest.mark.parametrize("num", [0, -3])
def test_no_rows_at_all_are_refused(num):
    with pytest.raises(ConfigError, match=f"whole number of at least 1, got {num}"):
        evaluate(model(), ROWS, max_examples=num)


def test_a_model_is_judged_in_eval_mode_without_gradients_and_put_back():
    judged = model().train()
    evaluate(judged, ROWS)
    training, gradients, condition, generator = judged.asked
    assert (training, gradients, condition) == (False, False, {})
    assert isinstance(generator, torch.Generator)
    assert judged.training
    assert judged.logits.training


# Seeds.


def noisy(seed, names=("noisy",), rows=ROWS):
    return evaluate(model(), rows, names, seed=seed).figures["noisy"].value


def test_a_seed_gives_the_same_figures_whatever_else_is_judged(metric):
    metric("noisy")(Noisy)
    metric("first")(Noisy)
    assert noisy(1) == noisy(1)
    assert noisy(1) != noisy(2)
    assert noisy(1, ["log-likelihood", "noisy"]) == noisy(1)
    assert noisy(1, ["first"]) != noisy(1)


def test_rows_drawn_afresh_are_the_seeds(metric):
    @metric("rows")
    class Rows(Noisy):
        def compute(self, case):
            return {"rows": mean_of(case.batch["x"].sum(1), "exact")}

    grey = load_dataset("digits", limit=40, binarize="dynamic")
    flat = as_dataset(torch.rand(40, 4, generator=torch.Generator().manual_seed(0)))
    data = type(grey)(flat, "dynamic")

    def value(seed):
        return evaluate(model(), data, ["rows"], seed=seed).figures["rows"].value

    assert value(0) == value(0)
    assert len({value(seed) for seed in range(5)}) > 1


def test_global_generators_are_untouched(metric):
    metric("noisy")(Noisy)
    before = torch.get_rng_state()
    evaluate(model(), ROWS)
    assert torch.equal(before, torch.get_rng_state())


# A case: halves and samples that metrics share.

ONE = Real(shape=(1,))


def test_the_halves_are_apart_and_of_one_size():
    rows = torch.arange(21.0)[:, None]
    data = from_array(rows, "rows", label=torch.arange(21), space="real")
    judged = case(Replay(rows, event=ONE), data)
    reference, held_out = judged.reference["x"][:, 0], judged.held_out["x"][:, 0]
    assert len(reference) == len(held_out) == 10
    assert len({*reference.tolist(), *held_out.tolist()}) == 20
    assert torch.equal(judged.reference["label"], reference.long())
    assert reference.tolist() != sorted(reference.tolist())


def test_the_halves_are_the_seeds():
    rows = torch.arange(20.0)[:, None]
    data = from_array(rows, "rows", space="real")

    def half(seed):
        return case(Replay(rows, event=ONE), data, seed=seed).reference["x"]

    assert torch.equal(half(0), half(0))
    assert not torch.equal(half(0), half(1))


def test_samples_are_drawn_once_given_the_conditions_of_the_held_out_rows():
    rows = torch.arange(30.0)[:, None] % 3
    label = torch.arange(30) % 3
    data = from_array(rows, "rows", label=label, space="real")
    judged = case(LabelledReplay(rows, label, ONE), data)
    assert judged.samples is judged.samples
    assert torch.equal(judged.samples[:, 0].long(), judged.held_out["label"])


@pytest.mark.parametrize("num", [8, 40, 100])
def test_rows_of_any_number_are_fair_though_the_judged_ones_are_sorted(num):
    """All as often as they fit, and a part of every label for the rest."""
    rows, label = torch.arange(40.0)[:, None], torch.arange(40) // 10
    data = from_array(rows, "rows", label=label, space="real")
    judged = case(Replay(rows, event=ONE), data)
    found = judged.rows(num)
    assert torch.bincount(found["label"]).tolist() == [num / 4] * 4
    assert torch.equal(found["label"], label[found["x"][:, 0].long()])
    times = torch.bincount(found["x"][:, 0].long(), minlength=40)
    assert set(times.tolist()) <= {num // 40, -(-num // 40)}
    assert torch.equal(judged.rows(40)["x"], rows)


def test_what_is_made_once_is_kept_by_its_key():
    judged = case(Replay(ROWS), from_array(ROWS, "rows"))
    made = iter(range(9))
    assert [judged.once(key, lambda: next(made)) for key in ("a", "a", "b", "a")] == [0, 0, 1, 0]


def test_all_metrics_see_the_same_samples_whatever_else_is_judged(metric):
    seen = []

    class Watching(Noisy):
        def compute(self, case):
            seen.append(case.samples)
            return super().compute(case)

    metric("watching")(Watching)
    metric("watching-too")(Watching)
    evaluate(model(), ROWS, ["watching", "watching-too"], seed=3)
    evaluate(model(), ROWS, ["watching-too"], seed=3)
    evaluate(model(), ROWS, ["watching"], seed=4)
    assert seen[0] is seen[1]
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[3])


def test_the_provenance_says_how_many_samples_are_drawn_at_once(metric):
    """The model's own block, made equal: 25 samples in blocks of at most 7 are four of 7."""
    seen = []

    class Seven(Replay):
        default_batch_size = 7

    class Watching(Noisy):
        def compute(self, case):
            seen.append(case)
            return super().compute(case)

    metric("watching")(Watching)
    replay = Seven(ROWS)
    found = evaluate(replay, ROWS, ["watching"], seed=3)
    assert found.provenance["batch_size"] == seen[0].batch_size == 7
    again = replay.sample(25, seed=seeds.derive_seed(3, "samples"), batch_size=7)
    assert torch.equal(seen[0].samples, again)
    assert evaluate(Replay(ROWS), ROWS, ["watching"]).provenance["batch_size"] == 25
    assert evaluate(replay, ROWS, ["watching"], max_examples=1).provenance["batch_size"] == 1


def test_a_sampler_that_is_given_draws_the_samples_and_stands_in_the_provenance(metric):
    class Ones(families.Ancestral):
        def trajectory(self, model, num, **given):
            yield torch.ones(num, 4)

    @metric("mean")
    class Mean(Noisy):
        def compute(self, case):
            return {"mean": mean_of(case.samples.mean(1), "exact")}

    found = evaluate(model(), ROWS, ["mean"], sampler=Ones())
    assert found.figures["mean"].value == 1
    assert found.provenance["sampler"] == "Ones"
    assert evaluate(model(), ROWS, ["mean"]).figures["mean"].value < 1
