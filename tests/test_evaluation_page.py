"""docs/evaluation.md: its snippets print what stands there, its claims hold, it leaves none out.

Where a number may differ: exact arithmetic is held to its last printed digit, and to one part in
a million, since processors sum float32 in different orders. Training multiplies such differences,
and a coin of a chain that falls the other way changes all that follows: the snippets that train or
draw chains say in their mark, ``tested within``, how far their numbers may go. Whole numbers are
exact everywhere.
"""

import contextlib
import io
import math
import re
import runpy
from pathlib import Path

import pytest
import torch

import families  # noqa: F401 - registers the toy families
import genzoo
from genzoo import registry
from genzoo.card import read_figures
from genzoo.evaluation import evaluate
from genzoo.evaluation.verifying import Judgement

PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"
TEXT = PAGE.read_text("utf-8")
MARKED = re.compile(
    r"<!-- tested(?: within ([\d.]+))? -->\n\n```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
VERSION = re.compile(r"\b(genzoo|torch)(:?) \d[\w.+]*\w")
PROCESSOR = re.compile(r"\b(processor:|arithmetic:) \w.*")
TRAPS = 9


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each snippet prints, in order."""
    found = []
    with contextlib.chdir(tmp_path_factory.mktemp("page")):
        for _, code, _ in MARKED.findall(TEXT):
            Path("snippet.py").write_text(code, "utf-8")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                runpy.run_path("snippet.py")
            found.append(out.getvalue())
        yield found


def lines(text):
    named = VERSION.sub(r"\1\2 VERSION", PROCESSOR.sub(r"\1 KIND", text))
    return [line.rstrip() for line in named.rstrip().splitlines()]


def near(written, made, within):
    if "." not in written:
        return written == made
    last = 10.0 ** -len(written.partition(".")[2])
    within = max(float(within or 0), 1.01 * last)
    return math.isclose(float(written), float(made), rel_tol=1e-6, abs_tol=within)


SNIPPETS = list(enumerate(MARKED.findall(TEXT)))


@pytest.mark.parametrize(("index", "snippet"), SNIPPETS, ids=[f"{i}" for i, _ in SNIPPETS])
def test_a_snippet_prints_what_stands_on_the_page(printed, index, snippet):
    within, _, written = snippet
    made = lines(printed[index])
    assert [squeezed(line) for line in made] == [squeezed(line) for line in lines(written)]
    for old, new in zip(lines(written), made, strict=True):
        pairs = list(zip(NUMBER.findall(old), NUMBER.findall(new), strict=True))
        assert all(near(a, b, within) for a, b in pairs), (old, new)


def squeezed(line):
    """A line's words, without its numbers and the spaces that align them."""
    return " ".join(NUMBER.sub("#", line).split())


def test_snippets_are_short():
    assert len(SNIPPETS) == TEXT.count("```python") == 15
    for _, (_, code, _) in SNIPPETS:
        assert len(code.splitlines()) <= 25
        assert max(map(len, code.splitlines())) <= 99


def test_every_metric_and_every_figure_is_on_the_page():
    for name in registry.names("metrics"):
        if registry.distribution_of("metrics", name)[0] == "genzoo":
            assert f"### {name}\n" in TEXT
            assert f"| `{name}` |" in TEXT


def shown(figure):
    """A figure's name as the page has it: the extractor, or pixels, in brackets."""
    name, bracket, _ = figure.partition("[")
    return f"`{name}[EXTRACTOR]`" if bracket and "distance" in name else f"`{name}`"


def figure_names():
    """The names of all figures that models of the zoo have on three datasets."""
    digits = genzoo.load_dataset("digits", "test", binarize="threshold", limit=200)
    ring = genzoo.load_dataset("ring", "test", num=200)
    rbm = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=2)
    label = {"label": genzoo.Label(num_classes=10)}
    labelled = {"event": genzoo.Binary(shape=(1, 8, 8)), "conditions": label}
    vae = {"latent_dim": 2, "hidden_dims": (4,)}
    found = set()
    for model, data in (
        (rbm, digits),
        (genzoo.create_model("vae", **labelled, **vae), digits),
        (genzoo.create_model("vae", event=genzoo.Real(shape=(2,)), **vae), ring),
    ):
        found |= set(evaluate(model, data).figures)
    return found | {"fid", "kid"}  # Inception is not available where the tests run.


@pytest.fixture(scope="module")
def names():
    torch.manual_seed(0)
    return figure_names()


def test_every_figure_name_is_on_the_page(names):
    assert len({shown(name) for name in names}) >= 21
    assert [name for name in sorted(names) if shown(name) not in TEXT] == []


def test_every_kind_and_every_verdict_is_on_the_page():
    for kind in ("exact", "lower bound", "upper bound", "stochastic estimate"):
        assert f"| {kind} |" in TEXT
    for verdict in Judgement.__args__:
        assert f"| {verdict} |" in TEXT


def test_links_within_the_page_lead_somewhere():
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    for target in re.findall(r"\]\(#([^)]*)\)", TEXT):
        assert target in anchors
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert Path(PAGE.parent, target).exists()


# What the page says of the printed figures.


def numbers(printed, trap, part=0):
    """The numbers of each printed line of a trap's snippet, by the line's first words."""
    text = printed[_first(trap) + part]
    return [[float(n) for n in NUMBER.findall(line)] for line in text.splitlines()]


def _first(trap):
    before = TEXT[: TEXT.index(f"\n### {trap}. ")]
    return len(MARKED.findall(before))


def test_every_trap_has_a_snippet():
    starts = [_first(trap) for trap in range(1, TRAPS + 1)]
    assert all(a < b for a, b in zip(starts, [*starts[1:], len(SNIPPETS)], strict=True))


def test_1_short_annealing_is_too_good_and_is_flagged(printed):
    (exact,), *rows = numbers(printed, 1)
    text = printed[_first(1)].splitlines()
    ais, reverse = rows[0][1], rows[1][1]
    assert ais < exact - 5
    assert reverse > ais + 5
    assert all("unreliable" in line for line in text[1:3])
    assert all(abs(value - exact) < 0.3 for _, value, _ in rows[-2:])
    assert not any("unreliable" in line for line in text[-2:])


def test_1_annealing_that_misses_a_state_is_not_flagged_but_claims_a_probability_above_one(
    printed,
):
    exact, ais, reverse, from_data = numbers(printed, 1, part=1)
    assert ais[0] == pytest.approx(exact[0] - 5, abs=0.2)
    assert reverse[0] == pytest.approx(ais[0], abs=0.2)
    assert min(ais[1], reverse[1]) > 90
    assert exact[-1] < 0 < ais[-1]
    assert from_data[0] > exact[0] + 5


def test_2_averaged_logits_are_below_the_entropy_and_sum_to_more_than_one(printed):
    first, right, wrong = numbers(printed, 2)
    assert first[0] == right[0] == 1
    assert wrong[0] > 1.5
    assert wrong[1] < math.log(2) < right[1]


def test_3_grey_cross_entropy_is_far_below_the_cost_of_grey_pictures_and_is_refused(printed):
    bce, total, honest, uniform = (
        float(re.search(r"\d+\.\d+", line)[0]) for line in printed[_first(3)].splitlines()[:4]
    )
    assert 3 * bce < honest < uniform
    assert total > 64
    assert bce + total > honest
    assert "zeros and ones; these data do not fit: they are the 17 levels" in printed[_first(3)]


def test_4_the_bound_rises_with_k(printed):
    text = printed[_first(4)]
    elbo, one, ten, many = (float(value) for value in re.findall(r"-\d+\.\d+", text))
    assert max(elbo, one) + 0.2 < ten < many
    assert elbo == pytest.approx(one, abs=0.3)
    assert text.count("lower bound") == 3


def test_5_a_threshold_is_easier_than_draws_and_draws_differ(printed):
    threshold, static, again, dynamic = (row[1] for row in numbers(printed, 5))
    assert threshold > max(static, again, dynamic) + 2
    assert static != again


def test_6_a_copied_figure_differs_and_one_without_a_provenance_cannot_be_verified(printed):
    equal, differs, lacking = printed[_first(6)].splitlines()
    assert equal.endswith(": equal")
    assert differs.endswith(": differs (value -17.65, recomputed -20.0826)")
    assert lacking.endswith(": cannot be verified (its provenance lacks metric)")


def test_6_the_honest_card_is_left(printed):
    figures = {figure.name: figure for figure in read_figures(Path("machine"))}
    assert figures["log-likelihood"].value != -17.65
    assert figures["log-likelihood"].provenance["metric"] == "log-likelihood"


def test_7_a_wider_radius_is_a_better_figure_and_a_gaussian_finds_modes(printed):
    rows = [line.split() for line in printed[_first(7)].splitlines()]
    share = [float(re.search(r"σ +([\d.]+)", " ".join(row))[1]) for row in rows]
    assert share[0] > 0.98
    assert share[3] < 0.5
    assert share[5] > 0.98
    found, often = re.search(r"1 sample (\d+), with 20 (\d+)", " ".join(rows[6])).groups()
    assert int(found) > 12
    assert int(often) == 0


def test_8_the_large_variance_is_better_at_a_thousand_steps_and_ruins_ten(printed):
    (_, _, many_large, many_small), _, (_, _, few_large, few_small) = numbers(printed, 8)
    assert abs(many_large - 0.01) < abs(many_small - 0.01)
    assert few_large > 10 * 0.01 > 10 * few_small


def test_8_the_recursion_is_the_known_one(tmp_path):
    """Against figures for N(1, 0.25) that were made apart from this one."""
    code = MARKED.findall(TEXT)[_first(8)][1]
    Path(tmp_path, "snippet.py").write_text(code, "utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        sampled = runpy.run_path(str(tmp_path / "snippet.py"))["sampled"]
    assert [float(v) for v in sampled(1000, True, s2=0.25)] == pytest.approx([0.99999, 0.250752])
    assert float(sampled(1000, False, s2=0.25)[1]) == pytest.approx(0.246125, abs=1e-6)
    assert float(sampled(10, False, s2=0.25)[1]) == pytest.approx(0.104222, abs=1e-6)


def test_9_two_extractors_disagree_and_few_rows_are_further_apart(printed):
    rows = [[float(n) for n in line.split()[-2:]] for line in printed[_first(9)].splitlines()[1:]]
    held_out, moved, half, hundred, four_hundred = rows
    assert moved[0] > 3 * half[0]
    assert half[1] > 3 * moved[1]
    for k in (0, 1):
        assert held_out[k] < four_hundred[k] < hundred[k]


def test_scattered_samples_have_recall_one(printed):
    out = printed[_first(1) - 1]
    precision, recall, _, coverage = (float(value) for value in NUMBER.findall(out))
    assert (recall, precision < 0.01, coverage < 0.02) == (1.0, True, True)
