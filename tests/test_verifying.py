"""A card's figures computed again: what holds, what does not, and how one would fool it."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

import genzoo
import genzoo.plugin
from genzoo.card import figures_of, read_figures, write_figures
from genzoo.cli import main
from genzoo.component import Component
from genzoo.estimate import Note
from genzoo.evaluation import evaluate
from genzoo.evaluation.streams import same_stream
from genzoo.evaluation.verifying import verify

TEST = {"name_or_path": "digits", "split": "test", "binarize": "threshold"}


@pytest.fixture(scope="module")
def model():
    data = genzoo.load_dataset("digits", binarize="threshold")
    machine = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=5)
    machine.init_from_data(data.head(100), data.info)
    return machine


@pytest.fixture(scope="module")
def test():
    return genzoo.load_dataset(**TEST)


@pytest.fixture(scope="module")
def figures(model, test):
    return {f.name: f for f in figures_of(evaluate(model, test, ["log-likelihood"]))}


@pytest.fixture(scope="module")
def figure(figures):
    return figures["log-likelihood"]


@pytest.fixture(scope="module")
def distance(model, test):
    short = genzoo.registry.load("samplers", "gibbs")
    sampler = short(short.Config(num_steps=5))
    made = evaluate(model, test, ["frechet-feature-distance"], sampler=sampler)
    return figures_of(made)[0]


def changed(figure, value=None, facts=None, **provenance):
    """Return a figure with another value, other facts, or another provenance; None deletes one."""
    facts = {**figure.facts, **(facts or {})}
    return dataclasses.replace(
        figure,
        value=figure.value if value is None else value,
        facts={key: fact for key, fact in facts.items() if fact is not None},
        provenance={k: v for k, v in {**figure.provenance, **provenance}.items() if v is not None},
    )


def verdict(model, figure):
    (found,) = verify(model, [figure])
    return found


def small(model, num, metric="log-likelihood", **options):
    """Return a figure of few rows, as a card's author may choose them."""
    made = evaluate(model, genzoo.load_dataset(**TEST), [metric], max_examples=num, **options)
    return figures_of(made)[0]


def test_honest_figures_are_equal(model, figures, distance):
    found = verify(model, [*figures.values(), distance])
    assert [v.judgement for v in found] == ["equal"] * 3
    assert all(v.holds and v.default is v.now for v in found)


@pytest.mark.parametrize(
    ("value", "facts", "said"),
    [
        (-13.8, {}, "value -13.8, recomputed"),
        (None, {"kind": "lower bound"}, "kind lower bound, recomputed exact"),
        (None, {"unit": "bits/dim"}, "unit bits/dim, recomputed nats"),
        (None, {"std_error": 0.0001}, "error 0.0001, recomputed"),
        (None, {"std_error": 1e9}, "error 1e+09, recomputed"),
        (None, {"std_error": None}, "error None, recomputed"),
        (None, {"interval": [-21.0, -20.0]}, "interval -21 to -20, recomputed none"),
        (None, {"num_samples": 10_000}, "number of samples 10000, recomputed 297"),
        (None, {"notes": [{"code": "more", "text": "Peer reviewed."}]}, "notes more, recomputed"),
    ],
)
def test_a_claim_that_differs_in_one_fact_is_named(model, figure, value, facts, said):
    found = verdict(model, changed(figure, value, facts))
    assert found.judgement == "differs"
    assert not found.holds
    assert said in str(found)


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        ({"extractor": "inception"}, "extractor inception, recomputed digits-cnn"),
        ({"sha256": "0" * 64}, "sha256 000"),
        ({"samples": 50_000}, "samples 50000, recomputed 148"),
        ({"data": "mnist/test"}, "data mnist/test, recomputed digits/test"),
    ],
)
def test_a_setting_that_was_not_used_is_named(model, distance, provenance, said):
    found = verdict(model, changed(distance, **provenance))
    assert found.judgement == "differs"
    assert said in str(found)


def test_notes_that_were_deleted_are_missed(model, distance):
    assert distance.notes
    found = verdict(model, changed(distance, facts={"notes": None}))
    assert found.judgement == "differs"
    assert "notes none, recomputed" in str(found)


def test_one_row_proves_nothing(model, figure):
    """The error of one row is infinite, and no claim was outside of it."""
    one = small(model, 1)
    assert verdict(model, changed(one, -0.5)).judgement == "differs"
    honest = verdict(model, one)
    assert honest.default.num_samples == 297
    near = abs(one.value - figure.value) <= 3 * figure.facts["std_error"]
    assert honest.judgement == ("equal" if near else "differs")


@pytest.mark.parametrize("delete", [True, False])
def test_a_claim_over_three_default_errors_too_good_fails_whatever_the_settings(
    model, figure, delete
):
    """Fewer rows, another seed, a part of the data; and the same under another random stream."""
    part = genzoo.load_dataset(**TEST, limit=20)
    weak = [
        small(model, 2),
        small(model, 5, seed=7),
        figures_of(evaluate(model, part, ["log-likelihood"]))[0],
        figures_of(
            evaluate(
                model, part, [Component(name="log-likelihood", config={"num_samples": 1})], seed=1
            )
        )[0],
    ]
    good = figure.value + 3.5 * figure.facts["std_error"]
    for claim in weak:
        claim = changed(claim, good, stream=None if delete else claim.provenance["stream"])
        found = verdict(model, claim)
        assert found.judgement == "differs", str(found)
        assert found.default.num_samples == 297


def test_a_weak_figure_that_equals_its_own_settings_must_be_near_the_default_too(model, test):
    """The likeliest rows of a test set, chosen by a seed: equal, and too good all the same."""
    default = small(model, 10_000)
    seeds = range(40)
    best = max((small(model, 4, seed=seed) for seed in seeds), key=lambda figure: figure.value)
    lucky = (best.value - default.value) / default.facts["std_error"]
    assert lucky > 3  # Otherwise the seeds above show nothing.
    found = verdict(model, best)
    assert found.judgement == "differs"
    assert "more than three standard errors" in str(found)


def test_a_distance_with_a_wide_error_does_not_agree_with_everything(model, distance):
    claim = changed(distance, 0.1, stream=None)
    error = distance.facts["std_error"]
    assert distance.value - 0.1 > 3 * error
    assert verdict(model, claim).judgement == "differs"
    inside = changed(distance, distance.value - 2.5 * error, stream=None)
    assert verdict(model, inside).judgement == "agrees"


def test_another_random_stream_leaves_out_equality_alone(model, distance):
    for stream in (None, {**distance.provenance["stream"], "device": "cuda"}, "?", {"mean": "1"}):
        error = distance.facts["std_error"]
        claim = changed(distance, distance.value + error, stream=stream)
        found = verdict(model, claim)
        assert found.judgement == "agrees"
        assert "other random stream" in str(found)
        wide = verdict(model, changed(claim, distance.value + 4 * error))
        assert (wide.judgement, wide.holds) == ("differs", False)
    assert verdict(model, changed(distance, distance.value + error)).judgement == "differs"


@pytest.mark.parametrize(
    "facts",
    [
        {"std_error": 0.0001},
        {"std_error": None},
        {"kind": "lower bound"},
        {"interval": [0.0, 1.0]},
    ],
)
def test_a_deleted_fingerprint_does_not_free_the_other_claims(model, distance, facts):
    found = verdict(model, changed(distance, facts=facts, stream=None))
    assert found.judgement == "differs"


def test_settings_that_suit_the_author_are_replaced_by_the_defaults(model, test):
    """Balls that reach to every row make a perfect recall."""
    short = genzoo.registry.load("samplers", "gibbs")
    wide = Component(name="precision-recall", config={"k": 147})
    sampler = short(short.Config(num_steps=5))
    recall = figures_of(evaluate(model, test, [wide], sampler=sampler))[1]
    assert (recall.name, recall.value > 0.99) == ("recall", True)
    found = verdict(model, recall)
    assert found.judgement == "differs"
    assert found.default.provenance["k"] == 5


def test_more_draws_than_the_default_are_kept():
    metric = genzoo.registry.load("metrics", "log-likelihood")
    vae = genzoo.create_model("vae", event=genzoo.Binary(shape=(4,)))

    def draws(given):
        return metric(metric.Config(num_samples=given)).verification_config(vae).num_samples

    assert vae.default_num_samples == 500
    assert [draws(given) for given in (None, 1, 499, 500, 5000)] == [None, None, None, 500, 5000]


def flagged(monkeypatch, value=-20.0, **changes):
    """Let the machine's likelihood be flagged by ``ess-low``."""

    def log_prob(self, x, **_):
        note = Note("ess-low", "1.0 of 100 chains count.", unreliable=True)
        given = {"kind": "stochastic estimate", "shared_error": 0.2, "notes": (note,)}
        values = torch.full((len(x),), value, dtype=torch.float64)
        return genzoo.plugin.LogProb(values=values, measure="mass", **{**given, **changes})

    monkeypatch.setattr("genzoo_boltzmann.rbm.RBM.log_prob", log_prob)


def test_what_the_card_calls_unreliable_by_the_same_code_is_listed(model, test, monkeypatch):
    flagged(monkeypatch)
    honest = figures_of(evaluate(model, test, ["log-likelihood"]))[0]
    found = verdict(model, honest)
    assert (found.judgement, found.holds) == ("unreliable, as the card says", True)
    assert verdict(model, changed(honest, -13.0)).judgement == "differs"


def test_what_is_unreliable_here_and_not_in_the_card_cannot_be_verified(model, test, monkeypatch):
    flagged(monkeypatch)
    honest = figures_of(evaluate(model, test, ["log-likelihood"]))[0]
    for notes in (None, [{"code": "other", "text": "x", "unreliable": True}], ["Unreliable: x."]):
        found = verdict(model, changed(honest, facts={"notes": notes}))
        assert (found.judgement, found.holds) == ("cannot be verified", False)
        assert "flagged ess-low here, and not in the card" in str(found)


@pytest.mark.parametrize("error", [math.inf, math.nan])
def test_a_figure_without_a_finite_error_cannot_be_verified(model, test, monkeypatch, error):
    flagged(monkeypatch, notes=(), shared_error=error)
    honest = figures_of(evaluate(model, test, ["log-likelihood"]))[0]
    found = verdict(model, honest)
    assert (found.judgement, found.holds) == ("cannot be verified", False)
    assert "its error is not finite" in str(found)


@pytest.mark.parametrize(
    ("provenance", "reason"),
    [
        ({"metric": None}, "its provenance lacks metric"),
        ({"source": ""}, "its provenance lacks source"),
        ({"metric": "no-such"}, "Unknown metric"),
        ({"source": "no-such-data"}, "is not a registered dataset"),
        ({"source": "images"}, "is a reader, not a dataset"),
        ({"data_config": {"no_such": 1}}, "no field"),
        ({"metric": "independent-pixels", "metric_config": {}}, "the metric gives"),
        ({"sampler": "no-such"}, "Unknown sampler"),
        ({"examples": "many"}, "examples is not a whole number"),
        ({"examples": True}, "examples is not a whole number"),
        ({"seed": 1.5}, "seed is not a whole number"),
    ],
)
def test_what_cannot_be_computed_again_says_why(model, figure, provenance, reason):
    found = verdict(model, changed(figure, **provenance))
    assert (found.judgement, found.holds) == ("cannot be verified", False)
    assert reason in str(found)


@pytest.mark.parametrize("source", ["/etc/passwd", "./rows.npz", "rows.npz", "ada/digits"])
def test_no_path_and_no_repository_of_a_card_is_read(model, figure, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("genzoo.data.find_source", lambda name: pytest.fail(f"{name} was read"))
    found = verdict(model, changed(figure, source=source))
    assert "is not a registered dataset" in str(found)
    found = verdict(model, changed(figure, source="mnist", data_config={"folder": "/home/me"}))
    assert "contains a path" in str(found)


def test_a_verdict_shows_no_control_characters(model, figure):
    found = verdict(model, changed(figure, data="digits\x1b[31m"))
    assert "\x1b" not in str(found)


def test_values_of_metric_and_sampler_are_given_again(model, test):
    cls = genzoo.registry.load("samplers", "gibbs")
    made = evaluate(
        model,
        test,
        [Component(name="log-likelihood", config={"num_samples": 200})],
        sampler=cls(cls.Config(num_steps=2)),
    )
    (found, _) = figures_of(made)
    assert found.provenance["metric_config"] == {"num_samples": 200}
    assert found.provenance["sampler"] == "gibbs"
    assert found.provenance["sampler_config"] == {"num_steps": 2}
    assert verdict(model, found).judgement == "equal"


# The fingerprint of the stream


def test_the_fingerprint_is_of_the_figures_own_samples(model, test):
    short = genzoo.registry.load("samplers", "gibbs")
    sampler = short(short.Config(num_steps=3))
    drawn = evaluate(model, test, ["two-sample"], sampler=sampler).provenance["stream"]
    x = model.sample(
        148,
        sampler=sampler,
        seed=genzoo.seeds.derive_seed(0, "samples"),
        batch_size=drawn["batch_size"],
    )
    means = [float(word) for word in drawn["mean"].split()]
    stds = [float(word) for word in drawn["std"].split()]
    assert means == pytest.approx(x[:8].flatten(1).mean(1).tolist(), rel=1e-5)
    assert stds == pytest.approx(x[:8].flatten(1).std(1, correction=0).tolist(), rel=1e-5)
    assert drawn["device"] == "cpu"
    alone = evaluate(model, test, ["log-likelihood"], sampler=sampler).provenance["stream"]
    assert (alone["of"], alone["batch_size"], len(alone["mean"].split())) == ("noise", 8, 8)
    other = evaluate(model, test, ["log-likelihood"], seed=1).provenance["stream"]
    assert same_stream(alone, alone)
    assert not same_stream(alone, other)


def test_streams_agree_within_a_thousandth_of_their_scale():
    found = {
        "of": "samples",
        "mean": "0.5 0.1",
        "std": "0.5 0.3",
        "batch_size": 2,
        "device": "cpu",
        "threads": 1,
        "processor": "AVX2",
        "arithmetic": "0123abcd",
    }
    assert same_stream(found, found)
    assert same_stream({**found, "mean": "0.5009 0.1"}, found)
    assert not same_stream({**found, "mean": "0.5011 0.1"}, found)
    assert not same_stream({**found, "std": "0.5 0.2989"}, found)
    wrong = [{"mean": "0.5"}, {"mean": "nan nan"}, {"mean": "?"}, {"batch_size": 64}, {"std": ""}]
    assert not any(same_stream({**found, **change}, found) for change in wrong)
    assert not same_stream(found, {})


# The command line


def leave(line):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    return left.value.code


@pytest.fixture
def card(model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "m")
    evaluating = f"evaluate {tmp_path}/m --data digits --data.binarize threshold --card"
    assert leave(f"{evaluating} --metrics log-likelihood") == 0
    capsys.readouterr()
    return Path(tmp_path, "m", "README.md")


def test_the_command_line_says_what_holds(card, capsys):
    verifying = f"evaluate {card.parent} --verify"
    assert leave(verifying) == 0
    assert capsys.readouterr().out.count(": equal") == 2
    honest = card.read_text("utf-8")
    card.write_text(honest.replace("value: -", "value: -9"), "utf-8")
    assert leave(verifying) == 1
    said = capsys.readouterr()
    assert "differs" in said.out
    assert "1 of 2 figures differ" in said.err
    card.write_text(honest.replace("metric: log-likelihood", "metric: no-such"), "utf-8")
    assert leave(verifying) == 1
    assert "2 of 2 figures cannot be verified" in capsys.readouterr().err


def test_a_table_that_shows_other_figures_than_the_head_is_seen(card, capsys):
    head, _, body = card.read_text("utf-8").partition("## Figures")
    (row,) = [line for line in body.splitlines() if line.startswith("| log-likelihood")]
    for better in (row.replace("-2", "-1"), f"{row}\n{row}", ""):
        card.write_text(f"{head}## Figures{body.replace(row, better)}", "utf-8")
        assert leave(f"evaluate {card.parent} --verify") == 1
        assert "the table shows other figures" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        " | log-likelihood | -5.0 ± 0.2 nats | exact | | | 1 |",
        "log-likelihood | -5.0 ± 0.2 nats | exact",
        "* ess-low: 50,000 draws.",
        "log-likelihood: **-5.0 nats**",
        "<table><tr><td>log-likelihood</td><td>-5.0</td></tr></table>",
        "<!-- the figures of the last version:",
    ],
)
def test_whatever_else_stands_in_the_block_of_figures_is_seen(line, card, capsys):
    head, _, body = card.read_text("utf-8").partition("## Figures\n")
    card.write_text(f"{head}## Figures\n\n{line}\n{body}", "utf-8")
    assert leave(f"evaluate {card.parent} --verify") == 1
    assert "the table shows other figures" in capsys.readouterr().err


def test_a_card_without_the_block_is_said_to_be_looked_at_by_its_head_alone(card, capsys):
    text = card.read_text("utf-8").replace("<!-- figures, written by genzoo -->", "")
    card.write_text(text, "utf-8")
    assert leave(f"evaluate {card.parent} --verify") == 0
    assert "only its head was checked" in capsys.readouterr().out


def test_a_second_name_of_a_figure_is_seen(card, capsys):
    text = card.read_text("utf-8").replace("- type: log-likelihood", "- type: fid", 1)
    card.write_text(text, "utf-8")
    assert leave(f"evaluate {card.parent} --verify") == 1
    assert "type 'fid', recomputed 'log-likelihood'" in capsys.readouterr().out


def test_verifying_writes_nothing(card, capsys):
    for flag in ("--card", f"--json {card.parent}/out.json"):
        assert leave(f"evaluate {card.parent} --verify {flag}") == 2
        assert "--verify writes nothing" in capsys.readouterr().err


def test_a_folder_without_figures_has_nothing_to_verify(model, tmp_path, capsys):
    model.save_pretrained(tmp_path / "m")
    assert leave(f"evaluate {tmp_path}/m --verify") == 2
    assert "--card" in capsys.readouterr().err
    assert leave(f"evaluate {tmp_path}/m --verify --data digits") == 2
    assert "leave them out" in capsys.readouterr().err


def test_a_foreign_results_figures_are_not_ours(tmp_path):
    text = (
        "---\nmodel-index:\n- name: m\n  results:\n  - task:\n      type: t\n    dataset:\n"
        "      name: d\n      type: d\n    metrics:\n    - type: accuracy\n      value: high\n"
        "---\n"
    )
    Path(tmp_path, "README.md").write_text(text, "utf-8")
    (found,) = read_figures(tmp_path)
    assert found.value is None
    judged = verdict(genzoo.create_model("rbm", event=genzoo.Binary(shape=(2,))), found)
    assert judged.judgement == "cannot be verified"


def test_a_card_of_figures_written_twice_is_equal(model, test, tmp_path):
    result = evaluate(model, test, ["log-likelihood"])
    for _ in range(2):
        write_figures(tmp_path, result, name="m")
    assert [v.judgement for v in verify(model, read_figures(tmp_path))] == ["equal", "equal"]


# What a reviewer tried


def flagged_everywhere(figure):
    """Return a false claim that calls itself unreliable by every code."""
    notes = [
        {"code": code, "text": "See above.", "unreliable": True}
        for code in ("ess-low", "reverse-ess-low", "rows-ess-low", "directions-disagree")
    ]
    facts = {"notes": notes, "kind": "exact", "std_error": 0.001}
    return changed(figure, -1.0, facts, stream=None, metric_config={"num_samples": 1})


def test_to_call_a_claim_unreliable_does_not_free_it(model, figure, monkeypatch):
    flagged(monkeypatch)
    assert not verdict(model, flagged_everywhere(figure)).holds


def test_weak_settings_that_are_flagged_do_not_free_a_claim(model, test, monkeypatch):
    """Flagged by the card's own settings, and not by the defaults, to which it is then held."""

    def log_prob(self, x, *, num_samples=None, **_):
        note = Note("ess-low", "1.0 of 100 chains count.", unreliable=True)
        weak = {"notes": (note,), "shared_error": math.inf} if num_samples == 1 else {}
        values = torch.full((len(x),), -20.0, dtype=torch.float64)
        kind = "stochastic estimate"
        return genzoo.plugin.LogProb(values=values, measure="mass", kind=kind, **weak)

    monkeypatch.setattr("genzoo_boltzmann.rbm.RBM.log_prob", log_prob)
    metric = Component(name="log-likelihood", config={"num_samples": 1})
    honest = figures_of(evaluate(model, test, [metric]))[0]
    claim = changed(honest, -13.0, stream=None)
    assert verdict(model, honest).judgement == "unreliable, as the card says"
    assert verdict(model, claim).judgement == "differs"


@pytest.mark.parametrize(
    ("facts", "provenance", "said"),
    [
        ({"num_samples": 50_000}, {}, "number of samples 50000"),
        ({"notes": None}, {}, "notes none, recomputed"),
        ({"reference": {"kind": "state of the art", "value": 1.0}}, {}, "reference state of the"),
        ({"reference": {"value": "state of the art 1.0"}}, {}, "reference without a kind"),
        ({"std_error": 1e300}, {}, "error 1e+300"),
        ({}, {"samples": 50_000}, "samples 50000"),
        ({}, {"trained_on": "nothing"}, "trained_on nothing"),
        ({}, {"torch": "2.13.0, samples 50000, seeds 0 to 19"}, "is not a version"),
        ({}, {"genzoo": {"a": 1}}, "is not a version"),
    ],
)
@pytest.mark.parametrize("delete", [True, False])
def test_what_no_stream_decides_is_compared_on_every_stream(
    model, distance, facts, provenance, said, delete
):
    stream = None if delete else distance.provenance["stream"]
    found = verdict(model, changed(distance, facts=facts, stream=stream, **provenance))
    assert found.judgement == "differs", str(found)
    assert said in str(found)


def test_what_is_exact_is_equal_on_every_stream(model, figure):
    claim = changed(figure, figure.value + figure.facts["std_error"], stream=None)
    assert verdict(model, claim).judgement == "differs"
    assert verdict(model, changed(figure, stream=None)).judgement == "equal"


def test_two_figures_for_one_question_cannot_be_verified(model, figure):
    other = changed(figure, figure.value + 0.1, stream=None)
    found = verify(model, [figure, other])
    assert [v.judgement for v in found] == ["cannot be verified"] * 2
    assert "two figures for this question" in str(found[0])


@pytest.mark.parametrize("text", ["On MNIST: -80.1 nats.", "{} Peer reviewed.", "7 {}"])
def test_the_words_of_a_note_are_compared(model, distance, text):
    (first, *rest) = distance.facts["notes"]
    notes = [{**first, "text": text.format(first["text"])}, *rest]
    for stream in (None, distance.provenance["stream"]):
        found = verdict(model, changed(distance, facts={"notes": notes}, stream=stream))
        assert found.judgement == "differs"
        assert f"the text of note {first['code']} differs" in str(found)


def test_a_second_note_of_a_code_is_missed(model, distance):
    notes = [*distance.facts["notes"], distance.facts["notes"][0]]
    assert verdict(model, changed(distance, facts={"notes": notes})).judgement == "differs"


def test_a_draw_of_zeros_and_ones_that_suits_the_author_is_held_to_that_of_seed_0(model):
    """A static draw is named by its seed, and its figure is near that of seed 0, or refused."""
    grey = {"name_or_path": "digits", "split": "test", "binarize": "static"}
    data = genzoo.load_dataset(**grey, binarize_seed=7)
    assert data.name == "digits/test (static binarisation, seed 7)"
    assert genzoo.load_dataset(**grey).name == "digits/test (static binarisation)"
    honest = figures_of(evaluate(model, data, ["independent-pixels"]))[0]
    found = verdict(model, honest)
    assert found.holds
    assert found.default is not found.now
