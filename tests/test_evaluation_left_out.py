"""What an evaluation leaves out and why, and that a part of sorted data is judged fairly."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

import genzoo
from families_common import drawn_by
from genzoo import cli
from genzoo.component import Component
from genzoo.data import ArrayDataset, from_array, load_dataset, pair
from genzoo.data.domains import TwoDomains
from genzoo.errors import CapabilityError
from genzoo.evaluation import Evaluation, evaluate
from genzoo.evaluation.mcmc_diagnostics import ChainConfig, ChainDiagnostics
from genzoo.evaluation.modes import ModeConfig, ModeCoverage
from genzoo.evaluation.provenance import in_words
from genzoo.report.evaluations import read_evaluations
from judged import ROWS, model
from judges import LabelledReplay, Replay, case
from test_metrics_mcmc_diagnostics import Walk
from test_metrics_translation import model as translator

PIXELS = Component(name="frechet-feature-distance", config={"extractor": "pixels"})


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """An untrained GAN of the digits."""
    folder = tmp_path_factory.mktemp("gan")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        genzoo.create_model("gan", event=genzoo.Unit(shape=(1, 8, 8))).save_pretrained(folder)
    return folder


def command(line, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(line.split())
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


# Left out.


def test_too_few_rows_for_any_figure_are_an_error_that_says_what_each_metric_needs(gan, capsys):
    code, out, err = command(f"evaluate {gan} --data digits --max-examples 20", capsys)
    assert (code, out) == (2, "")
    assert err.startswith(
        "error: No figure can be computed for GAN on digits/test (20 of 297 rows, seed 0): "
    )
    assert re.search(r"two-sample[^;]* \(at least 100 rows are needed; there are 20\); ", err)
    assert "latent-probes, reconstruction-error (the model does not encode)" in err
    assert "log-likelihood (the model does not give a log-likelihood)" in err
    default = [n for n in genzoo.registry.names("metrics") if load(n).is_default]
    assert all(name in err for name in default)


def load(name):
    return genzoo.registry.load("metrics", name)


def test_every_metric_is_computed_left_out_or_not_applicable():
    found = evaluate(model(), ROWS)
    computed = {figure.provenance["metric"] for figure in found.figures.values()}
    parts = [computed, set(found.left_out), set(found.not_applicable)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    names = genzoo.registry.names("metrics")
    assert set().union(*parts) == {name for name in names if load(name).is_default}
    assert found.left_out["two-sample"] == "at least 100 rows are needed; there are 50"
    assert found.not_applicable["accuracy"] == "the model does not classify"
    assert found.not_applicable["cycle-error"] == "the model does not translate"


def test_what_is_named_leaves_nothing_out():
    found = evaluate(model(), ROWS, ["log-likelihood"])
    assert (found.left_out, found.not_applicable) == ({}, {})


def test_reasons_that_can_be_mended_have_lines_and_the_others_share_one(tmp_path, gan, capsys):
    digits = load_dataset("digits", "test", binarize="threshold", limit=60)
    rbm = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=2)
    found = evaluate(rbm, digits)
    lines = str(found).splitlines()
    (first,) = [i for i, line in enumerate(lines) if line.startswith("Left out: ")]
    assert lines[first].startswith("Left out: frechet-feature-distance, kernel-feature-distance, ")
    assert lines[first].endswith(": at least 100 rows are needed; there are 60.")
    fitting = ", ".join(found.not_applicable)
    assert lines[first + 1 :] == [
        f"Not for this model and these data: {fitting} (reasons: --json)."
    ]
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["left_out"] == found.left_out
    assert stored["not_applicable"] == found.not_applicable


def test_a_metric_without_a_figure_is_left_out(monkeypatch):
    for name in ("independent-pixels", "log-likelihood"):
        monkeypatch.setattr(load(name), "compute", lambda self, case: {})
        if name == "independent-pixels":
            found = evaluate(model(), ROWS)
            assert found.left_out[name] == "it gives no figure for these rows"
            assert set(found.figures) == {"log-likelihood", "bits-per-dimension"}
    with pytest.raises(
        CapabilityError, match="No figure can be computed for Exact on the given array"
    ):
        evaluate(model(), ROWS)


def test_a_report_shows_what_was_left_out(tmp_path, gan, capsys):
    found = evaluate(model(), ROWS).to_dict()
    found["left_out"]["odd"] = "it needs <b>"
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    shutil.copy(gan / "config.json", tmp_path)
    code, _, err = command(f"report {tmp_path}", capsys)
    assert code == 0, err
    page = (tmp_path / "report.html").read_text("utf-8")
    shown = page.partition("<h4>Left out</h4>")[2]
    assert "<dt>odd</dt><dd>it needs &lt;b&gt;</dd>" in shown
    assert "<dt>accuracy</dt><dd>the model does not classify</dd>" in shown
    ((stored,), _) = read_evaluations(tmp_path, ())
    assert stored.left_out == found["left_out"]
    assert stored.not_applicable == found["not_applicable"]
    found |= {"left_out": ["odd"], "not_applicable": {"a": ["<b>"]}}
    (tmp_path / "evaluation.json").write_text(json.dumps(found))
    ((stored,), _) = read_evaluations(tmp_path, ())
    assert stored.left_out == {"left out": '["odd"]'}
    assert stored.not_applicable == {"a": '["<b>"]'}


# A part of the rows.


@pytest.fixture(scope="module")
def sorted_digits(tmp_path_factory):
    """All 1,797 digits, sorted by label as a folder of classes is."""
    splits = [load_dataset("digits", split) for split in ("train", "test")]
    found = [split.batch(range(len(split))) for split in splits]
    x, label = (torch.cat([part[key] for part in found]) for key in ("x", "label"))
    order = label.argsort(stable=True)
    path = tmp_path_factory.mktemp("sorted") / "sorted.npz"
    np.savez(path, x=x[order].numpy(), label=label[order].numpy())
    return load_dataset(str(path))


def test_a_perfect_model_is_judged_alike_on_sorted_and_on_shuffled_rows(sorted_digits):
    """Its distance from the first 300 rows, zeros and ones, is 2.2; from a fair part .3 to .5.

    Four evaluations of shuffled rows without labels give the value to compare with; their
    standard deviation is a fifth of it.
    """
    x = sorted_digits.batch(range(1797))["x"]
    perfect = Replay(x)

    def distances(data):
        found = [evaluate(perfect, data, [PIXELS], seed=s, max_examples=300) for s in range(4)]
        return [one.figures["frechet-feature-distance[pixels]"] for one in found]

    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    alike = distances(from_array(x[order], "shuffled"))
    fair = distances(sorted_digits)
    mean = sum(figure.value for figure in alike) / 4
    assert abs(sum(figure.value for figure in fair) / 4 - mean) < 0.4 * mean
    assert max(figure.value for figure in fair) < 1


def test_each_label_is_judged_in_proportion_and_the_provenance_says_so(sorted_digits, monkeypatch):
    seen = []

    def compute(self, case):
        seen.append(case.batch["label"])
        return {}

    monkeypatch.setattr(load("two-sample"), "compute", compute)
    perfect = Replay(torch.rand(5, 1, 8, 8))
    for seed in (0, 1):
        with pytest.raises(CapabilityError):
            evaluate(perfect, sorted_digits, ["two-sample"], seed=seed, max_examples=300)
    whole = torch.bincount(sorted_digits.labels())
    for label in seen:
        assert (torch.bincount(label) - 300 * whole / 1797).abs().max() < 1
    assert not torch.equal(*seen)
    found = evaluate(perfect, sorted_digits, [PIXELS], seed=4, max_examples=300)
    part = {key: found.provenance[key] for key in ("examples", "examples_of", "draw", "seed")}
    assert part == {
        "examples": 300,
        "examples_of": 1797,
        "draw": "stratified by label",
        "seed": 4,
    }
    assert "examples 300 of 1797 (random draw, stratified by label), seed 4" in str(found)


def test_a_part_of_rows_without_labels_is_drawn_at_random():
    found = evaluate(model(), ROWS, ["log-likelihood"], max_examples=7)
    assert found.provenance["draw"] == "random"
    assert "examples 7 of 50 (random draw), seed 0" in str(found)


def test_each_domain_says_how_many_rows_it_has():
    x, y = torch.rand(40, 1, 4, 4), torch.rand(90, 1, 4, 4)
    both = pair(x, from_array(y, "y", label=torch.arange(90) % 2))
    provenance = evaluate(translator(1, 4, 4), both, ["cycle-error"], max_examples=40).provenance
    assert provenance["examples"] == provenance["examples_of"] == 40
    assert (provenance["examples_of_y"], provenance["draw_y"]) == (90, "stratified by label")
    assert "examples 40 of 90 of y (random draw, stratified by label)" in in_words(provenance)
    assert "draw" not in provenance
    aligned = TwoDomains(from_array(x, "x"), from_array(y[:40], "y"), aligned=True)
    provenance = evaluate(translator(1, 4, 4), aligned, ["cycle-error"], max_examples=9).provenance
    assert (provenance["examples_of"], provenance["draw"]) == (40, "random")
    assert "examples_of_y" not in provenance


def test_modes_are_looked_for_given_every_label_though_the_rows_are_sorted():
    """A hundred of the 800 rows; the first hundred are of one mode."""
    ring = load_dataset("ring", num=800)
    order = ring.label.argsort(stable=True)
    data = ArrayDataset(ring.x[order], ring.info, "sorted ring", ring.label[order])
    perfect = LabelledReplay(ring.x, ring.label)
    found = ModeCoverage(ModeConfig(num_samples=100)).compute(case(perfect, data))["modes"]
    assert (found.value, found.reference.value) == (8, 8)


def test_chains_are_given_every_label_though_the_rows_are_sorted():
    class Noted(Walk):
        def trajectory(self, model, num, *, condition=None, **given):
            seen.append(condition)
            return super().trajectory(model, num, **given)

    class Walking(LabelledReplay):
        default_sampler = drawn_by(Noted)

    seen = []
    rows, label = torch.zeros(160, 1), torch.arange(160) // 20
    data = from_array(rows, "rows", label=label)
    ChainDiagnostics(ChainConfig(num_states=10)).compute(case(Walking(rows, label), data))
    assert torch.bincount(seen[0]["label"]).tolist() == [2] * 8


def test_a_provenance_of_an_older_card_is_still_text():
    assert in_words({"examples": 7, "seed": 0}) == "examples 7, seed 0"
    assert str(Evaluation({}, {"examples": 7})) == "Provenance: examples 7."
