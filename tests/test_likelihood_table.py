"""benchmarks/likelihood_table.py: what enters, how it trains, what is stored and printed."""

import itertools
import json
import math
import sys

import pytest
import torch

import genzoo
from genzoo import registry, seeds
from genzoo.errors import CapabilityError, ConfigError
from genzoo.estimate import Note
from genzoo.log_prob import LogProb
from likelihood_parts import Steps, binary, mass, parts

# Which models enter, and why others do not.


@pytest.fixture
def digits():
    return genzoo.load_dataset("digits", "test", binarize="static")


def test_a_model_of_zeros_and_ones_enters_with_its_mass(digits):
    subject = parts.subjects.subject_of("fvsbn", digits)
    assert (subject.space, subject.measure) == (genzoo.Binary(shape=(1, 8, 8)), "mass")
    assert subject.rows(digits) is digits


def test_a_model_of_two_grey_levels_enters_with_their_mass(digits):
    pytest.importorskip("diffusers")
    subject = parts.subjects.subject_of("ddpm", digits)
    assert (subject.space.levels, subject.measure) == (2, "mass")
    assert torch.equal(subject.rows(digits).head(5)["x"], digits.head(5)["x"])


@pytest.mark.parametrize("spaces", [(genzoo.Unit,), (genzoo.Real,)])
def test_a_registered_density_joins_through_noise(monkeypatch, spaces):
    monkeypatch.setitem(registry._local, ("models", "steps"), Steps)
    monkeypatch.setattr(Steps, "event_spaces", spaces)
    subject = parts.subjects.subject_of("steps", binary(torch.ones(4, 3)))
    assert (subject.measure, type(subject.space)) == ("density", spaces[0])
    assert getattr(subject.space, "levels", None) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("classifier", "it models the field label, not x"),
        ("cyclegan", "it needs y, so it has no p(x) without a condition"),
        ("gan", "it has no log_prob"),
        ("nonesuch", "nonesuch"),
    ],
)
def test_other_models_have_a_reason(digits, name, reason):
    assert reason in parts.subjects.subject_of(name, digits)


def test_a_density_of_zeros_and_ones_is_refused(digits):
    model = genzoo.create_model("fvsbn", data=digits)
    subject = parts.subjects.Subject("fvsbn", digits.info["x"])

    def log_prob(x, **others):
        return LogProb(values=torch.zeros(len(x)), kind="exact", measure="density")

    model.log_prob = log_prob
    with pytest.raises(CapabilityError, match="calls their log p that of a density"):
        parts.judging.judged(model, subject, digits, 10)


# The budget of training.


def test_stages_share_the_budget_in_proportion_to_their_defaults():
    """1,000 updates of 1 ms and 500 of 4 ms take 3 s: a budget of 6 s doubles both."""
    assert parts.training.shared_out([0.001, 0.004], [1000, 500], 6.0) == [2000, 1000]
    assert parts.training.shared_out([0.5, 0.5], [1000, 1], 5.0) == [10, 1]


def test_a_stage_is_timed_by_more_updates_if_they_are_fast():
    asked = []

    def time_them(steps):
        asked.append(list(steps))
        return [0.001, 0.1, 7.0]

    assert parts.training.seconds_per_update(time_them, 3) == [0.001, 0.1, 7.0]
    first, most = parts.training.FIRST, parts.training.MOST
    assert asked == [[first] * 3, [most, round(parts.training.SECONDS / 0.1), first]]


def test_the_clock_leaves_out_the_first_quarter():
    clock = parts.training.Clock()
    clock.times = {0: [0.0, 50.0, 51.0, 52.0, 53.0, 54.0, 55.0, 56.0]}
    assert clock.seconds() == [1.0]


@pytest.fixture
def measured(tmp_path):
    data = parts.rows.Data.load("digits", 0, 50)
    store = parts.results.Store(tmp_path, {"rows": 50})
    return parts.table.Table(data, 0.002, tmp_path, tmp_path / "recipes", store)


def test_a_recipe_is_stored_and_used_again(measured, monkeypatch):
    first = measured.measure("fvsbn", 0)
    path = measured.recipes / "fvsbn.toml"
    recipe = genzoo.Recipe.read(path)
    assert recipe.stages[0].trainer["max_steps"] == first.updates[0]
    assert recipe.stages[0].objective.config["lr"] == 0.01
    assert recipe.trainer.threads == 1
    assert first.log_p.kind == "exact"
    assert first.above_noise[0] > 0
    monkeypatch.setattr(parts.training, "fitted_recipe", None)
    second = measured.measure("fvsbn", 1)
    assert second.updates == first.updates
    assert not torch.equal(second.log_p.values, first.log_p.values)
    # The trained model of the seed 0 is there: nothing is trained.
    monkeypatch.setattr(parts.training, "make_trainer", None)
    assert torch.equal(measured.measure("fvsbn", 0).log_p.values, first.log_p.values)
    other = parts.rows.Data.load("digits", 1, 50)
    subject = parts.subjects.subject_of("fvsbn", other.test)
    with pytest.raises(ConfigError, match=r"is for fvsbn on digits .* not for fvsbn on digits"):
        parts.training.recipe_for(subject, other, 0.002, measured.recipes)


def test_a_recipe_has_every_value_of_its_objectives():
    stage = parts.training._explicit(genzoo.Stage(objective="elbo", model="vae"))
    assert stage.objective.config["kl_weight"] == 1.0
    assert stage.model == "vae"


def test_the_figure_is_that_of_an_evaluation(measured):
    """``genzoo evaluate`` with the same number of rows draws the same rows."""
    found = measured.measure("fvsbn", 0)
    model = genzoo.GenModel.from_pretrained(measured.output / "runs" / "fvsbn-0")
    figure = genzoo.evaluate(model, measured.data.test, "log-likelihood", max_examples=50)
    assert found.log_p.mean().value == figure.figures["log-likelihood"].value


def test_a_recipe_may_hold_rows_out(measured):
    measured.measure("fvsbn", 0)
    path = measured.recipes / "fvsbn.toml"
    recipe = genzoo.Recipe.read(path).to_dict()
    recipe["data"]["config"]["valid_fraction"] = 0.2
    recipe["trainer"]["eval_steps"] = 1
    recipe["trainer"]["metric_for_best_model"] = "loss"
    path.write_text(genzoo.Recipe.from_dict(recipe).to_toml())
    measured.measure("fvsbn", 1)
    run = measured.output / "runs" / "fvsbn-1"
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("eval/loss" in row for row in logged)


def test_the_seconds_of_a_resumed_run_are_added(tmp_path):
    path = tmp_path / "cpu.json"
    path.write_text('{"cpu": 100.0}')
    parts.training.Spent(path).on_end(None)
    assert 100 <= parts.training.spent(path) < 101
    assert parts.training.spent(tmp_path / "none") == 0


# References.


def test_a_mixture_sums_to_one_and_em_raises_its_likelihood():
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    x = states[torch.randint(3, 14, (300,), generator=seeds.generator(0))]
    found = [parts.baselines.fit_mixture(x, 3, iterations=i) for i in (1, 2, 5, 20)]
    totals = [parts.baselines.mixture_log_prob(states, *f).exp().sum().item() for f in found]
    assert totals == pytest.approx([1.0] * 4)
    means = [parts.baselines.mixture_log_prob(x, *f).mean().item() for f in found]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.05


def test_a_mixture_finds_two_kinds_of_rows():
    kinds = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    x = kinds.repeat_interleave(torch.tensor([300, 100]), 0)
    # With the seed 3 the means start at rows of both kinds; alike, they would stay alike.
    pi, mu = parts.baselines.fit_mixture(x, 2, seed=3)
    order = mu[:, 3].argsort()
    torch.testing.assert_close(mu[order], kinds, atol=0.02, rtol=0)
    torch.testing.assert_close(pi[order], torch.tensor([0.75, 0.25]), atol=0.01, rtol=0)


def test_independent_pixels_have_the_shares_of_ones():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = parts.baselines.independent(binary(x), torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    # One more 0 and one more 1 are counted: 3/5 and 2/5.
    expected = torch.tensor([math.log(0.6 * 0.4), math.log(0.4 * 0.4)], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


# What is stored, and the table of it.


def test_a_result_is_stored_as_it_is(tmp_path):
    store = parts.results.Store(tmp_path, {"rows": 3})
    note = Note("ess-low", "Few.", unreliable=True)
    log_p = mass([-1.5, -2.25], shared_error=0.5, interval=(-0.1, 0.2), notes=(note,))
    result = parts.results.Result("rbm", 1, log_p, "", (3.0, 0.5), 7, (5, 2), 1.5, 2.5)
    store.add(result)
    store.add(parts.results.Result("gan", reason="it has no log_prob"))
    assert store.has("rbm", 1)
    assert not store.has("rbm", 0)
    gan, rbm = store.all()
    assert (gan.log_p, gan.reason) == (None, "it has no log_prob")
    assert torch.equal(rbm.log_p.values, log_p.values)
    for name in ("kind", "measure", "shared_error", "interval", "notes"):
        assert getattr(rbm.log_p, name) == getattr(log_p, name)
    fields = ("name", "seed", "above_noise", "num_parameters", "updates", "training")
    assert [getattr(rbm, f) for f in fields] == [getattr(result, f) for f in fields]


def test_results_of_another_protocol_are_not_mixed(tmp_path):
    parts.results.Store(tmp_path, {"rows": 2000, "minutes": 10})
    parts.results.Store(tmp_path, {"rows": 2000, "minutes": 10})
    with pytest.raises(ConfigError, match="has results with rows 2000, not 100"):
        parts.results.Store(tmp_path, {"rows": 100, "minutes": 10})


def results_of(**values):
    return [
        parts.results.Result(name.split("_")[0], int(name[-1]), mass(v))
        for name, v in values.items()
    ]


def test_the_table_is_sorted_and_differences_are_paired():
    """The differences from the best are 2, 2, 2.6 and 2: their error is .15, not that of means."""
    results = results_of(a_0=[-12.0, -22, -32.6, -42], b_0=[-10.0, -20, -30, -40])
    results.append(parts.results.Result("gan", reason="it has no log_prob"))
    lines = parts.results.table(results, {"c": "ValueError: x\ny"}).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| b", "| a"]
    assert "| −2.15 ± 0.15 |" in lines[3]
    assert lines[1].count("---") == lines[0].count("|") - 1 == lines[3].count("|") - 1
    assert lines[-2:] == ["| gan | it has no log_prob |", "| c | ValueError: x y |"]


def test_seeds_are_averaged_row_by_row():
    first = mass([-1.0, -3], shared_error=0.3, interval=(-1.0, 1.0))
    second = mass([-3.0, -5], shared_error=0.4, interval=(-2.0, 3.0))
    found = parts.results.over_seeds([first, second])
    assert found.values.tolist() == [-2, -4]
    assert found.shared_error == pytest.approx(0.25)
    assert found.interval == (-1.5, 2.0)
    line = parts.results.table(results_of(a_0=[-1.0, -3], a_1=[-3.0, -5])).splitlines()[2]
    assert "| −2.00, −4.00 |" in line


def test_the_best_models_get_further_seeds_and_references_do_not(tmp_path):
    store = parts.results.Store(tmp_path, {})
    reference = "independent-pixels"
    names = [reference, "a", "b", "c", "gan"]
    queue = parts.table.jobs(names, 3, 2, store)
    assert [next(queue) for _ in names] == [(name, 0) for name in names]
    for name, value in ((reference, -1.0), ("a", -3.0), ("b", -4.0), ("c", -2.0)):
        store.add(parts.results.Result(name, 0, mass([value, value])))
    store.add(parts.results.Result("gan", reason="it has no log_prob"))
    assert list(queue) == [("c", 1), ("a", 1), ("c", 2), ("a", 2)]


def test_the_command_prints_a_table_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    argv = ["likelihood_table.py", "--data", "digits", "--rows", "50", "--minutes", "0.002"]
    argv += ["--only", "fvsbn", "gan", "made", "--seeds", "2", "--best", "1"]
    monkeypatch.setattr(sys, "argv", [*argv, "--output", str(tmp_path)])
    right = parts.table.Table.measure

    def broken(self, name, seed):
        if name == "made":
            raise ValueError("broken")
        return right(self, name, seed)

    monkeypatch.setattr(parts.table.Table, "measure", broken)
    with pytest.raises(SystemExit, match="Failed: made"):
        parts.table.main()
    shown = capsys.readouterr().out
    assert "| fvsbn | −" in shown
    assert "| gan | it has no log_prob |" in shown
    assert "| made | ValueError: broken |" in shown
    asked = []

    def counted(self, name, seed):
        asked.append((name, seed))
        return right(self, name, seed)

    monkeypatch.setattr(parts.table.Table, "measure", counted)
    parts.table.main()
    assert asked[0] == ("made", 0)
    assert ("fvsbn", 0) not in asked
    assert "| made | −" in capsys.readouterr().out
