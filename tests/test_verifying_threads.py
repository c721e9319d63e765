"""A card's figures under other threads and on other processors, which sum in another order."""

import dataclasses
import math

import pytest
import torch

import genzoo
import genzoo.plugin
from genzoo.card import figures_of, read_figures, write_figures
from genzoo.cli import main
from genzoo.evaluation import evaluate
from genzoo.evaluation.reproducing import Reproduction, Settings
from genzoo.evaluation.streams import MAX_THREADS, same_stream, stated_threads
from genzoo.evaluation.verifying import verify
from genzoo.threads import limited

FACTS = {"kind": "stochastic estimate", "shared_error": 0.2, "measure": "mass"}
LIES = ["1", -1, 0, 10**9, 1025, True, 1.0, [1], {"threads": 1}, None]


@pytest.fixture(autouse=True)
def threads_are_put_back():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def test():
    return genzoo.load_dataset("digits", "test", binarize="threshold", limit=100)


@pytest.fixture
def model(monkeypatch):
    """A machine whose likelihood depends on the number of threads, as that of long chains does."""

    def log_prob(self, x, **_):
        values = torch.full((len(x),), -20 - 0.01 * torch.get_num_threads()).double()
        return genzoo.plugin.LogProb(values=values, **FACTS)

    monkeypatch.setattr("genzoo_boltzmann.rbm.RBM.log_prob", log_prob)
    return genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 8, 8)), num_hidden=2)


def made(model, test, threads):
    """Return the figure, made with so many threads."""
    with limited(threads):
        return figures_of(evaluate(model, test, ["log-likelihood"]))[0]


def stating(figure, value=None, **stream):
    """Return a figure with another fingerprint; None takes a fact away."""
    told = {k: v for k, v in {**figure.provenance["stream"], **stream}.items() if v is not None}
    provenance = {**figure.provenance, "stream": told}
    given = figure.value if value is None else value
    return dataclasses.replace(figure, value=given, provenance=provenance)


def verdict(model, figure):
    (found,) = verify(model, [figure])
    return found


def on(processor, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)


def test_the_fingerprint_states_threads_and_processor_of_a_cpu(model, test, monkeypatch):
    on("AVX2", monkeypatch)
    for threads in (1, 2):
        stream = made(model, test, threads).provenance["stream"]
        assert (stream["threads"], stream["processor"]) == (threads, "AVX2")
        assert stream["device"] == "cpu"


def test_another_device_has_no_threads_that_count(model, test, monkeypatch):
    """The device that has no memory stands for one that has its own."""
    from genzoo.evaluation import open_case, streams

    case = open_case(model, test)
    monkeypatch.setattr(streams, "_noise", lambda case: torch.ones(8, 2))
    monkeypatch.setattr(type(model), "device", torch.device("meta"))
    stream = streams.stream_of(case)
    assert stream["device"] == "meta"
    assert not {"threads", "processor"} & {*stream}
    assert same_stream(stream, stream)
    assert not same_stream({**stream, "threads": 1}, stream)


@pytest.mark.parametrize(("card", "session"), [(1, 2), (2, 1), (3, 1)])
def test_a_card_is_equal_whatever_the_sessions_number_of_threads(model, test, card, session):
    honest = made(model, test, card)
    assert honest.value == pytest.approx(-20 - 0.01 * card)
    torch.set_num_threads(session)
    found = verdict(model, honest)
    assert (found.judgement, found.reasons) == ("equal", ())
    assert found.now.value == honest.value
    assert torch.get_num_threads() == session


def test_figures_of_one_question_are_computed_with_each_ones_threads(model, test):
    with limited(2):
        bits = figures_of(evaluate(model, test, ["log-likelihood"]))[1]
    found = verify(model, [made(model, test, 1), bits])
    assert [v.judgement for v in found] == ["equal"] * 2
    assert found[0].now.value == pytest.approx(-20.01)
    assert found[1].now.value == pytest.approx(20.02 / 64 / math.log(2))


def test_what_is_computed_again_states_the_cards_threads(model, test):
    honest = made(model, test, 2)
    torch.set_num_threads(1)
    provenance = Reproduction(model).provenance(Settings.of(honest.provenance))
    assert provenance["stream"] == honest.provenance["stream"]
    most = MAX_THREADS
    stated = [stated_threads({"threads": num}) for num in (0, 1, most, most + 1, 10**9)]
    assert stated == [None, 1, most, None, None]


def test_another_number_of_threads_than_the_figures_own_differs(model, test):
    """Its stream is the same: noise draws the same numbers. Its value is what gives it away."""
    honest = made(model, test, 2)
    found = verdict(model, stating(honest, threads=1))
    assert found.judgement == "differs"
    assert "value -20.02, recomputed -20.01" in str(found)


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_number_of_threads_is_another_stream_and_no_more(model, test, lie, monkeypatch):
    honest = made(model, test, 1)
    asked, change = [], torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda num: (asked.append(num), change(num)))
    error = honest.facts["std_error"]
    for value, judgement in (
        (honest.value, "agrees"),
        (honest.value + 2.5 * error, "agrees"),
        (honest.value + 3.5 * error, "differs"),
    ):
        found = verdict(model, stating(honest, value, threads=lie))
        plain = verdict(model, stating(honest, value, mean=None))
        assert (found.judgement, found.reasons) == (plain.judgement, plain.reasons)
        assert found.judgement == judgement
        assert "other random stream" in found.reasons
    assert {*asked} == {1}
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("lie", ["AVX512", "", "avx2", 2, True, ["AVX2"], "\x1b[31m", None])
def test_another_processor_is_another_stream_and_no_more(model, test, lie, monkeypatch):
    on("AVX2", monkeypatch)
    honest = made(model, test, 1)
    assert verdict(model, honest).judgement == "equal"
    error = honest.facts["std_error"]
    for sigmas, judgement in ((0, "agrees"), (2.5, "agrees"), (3.5, "differs")):
        claim = stating(honest, honest.value + sigmas * error, processor=lie)
        found = verdict(model, claim)
        assert found.judgement == judgement
        assert found.reasons[-1] == "other random stream"
    on("AVX512", monkeypatch)
    assert verdict(model, honest).judgement == "agrees"


def test_a_card_of_before_that_states_neither_agrees_at_most(model, test):
    honest = made(model, test, 1)
    old = stating(honest, threads=None, processor=None)
    assert verdict(model, old).judgement == "agrees"
    far = stating(old, honest.value + 3.5 * honest.facts["std_error"])
    assert verdict(model, far).judgement == "differs"


def test_more_threads_than_processors_are_allowed_up_to_a_bound(model, test):
    honest = made(model, test, 16)
    torch.set_num_threads(1)
    assert verdict(model, honest).judgement == "equal"
    assert verdict(model, stating(honest, threads=MAX_THREADS + 1)).judgement == "agrees"
    assert torch.get_num_threads() == 1


def test_threads_are_put_back_where_a_figure_cannot_be_computed(model, test, monkeypatch):
    honest = made(model, test, 2)

    def fails(*_, **__):
        assert torch.get_num_threads() == 2
        raise genzoo.CapabilityError("No.")

    torch.set_num_threads(1)
    monkeypatch.setattr("genzoo_boltzmann.rbm.RBM.log_prob", fails)
    assert verdict(model, honest).judgement == "cannot be verified"
    assert torch.get_num_threads() == 1


def test_a_card_on_disk_is_equal_under_other_threads(model, test, tmp_path, capsys):
    """Through the head of a card and the command line."""
    model.save_pretrained(tmp_path / "m")
    with limited(1):
        write_figures(tmp_path / "m", evaluate(model, test, ["log-likelihood"]), name="m")
    assert read_figures(tmp_path / "m")[0].provenance["stream"]["threads"] == 1
    torch.set_num_threads(2)
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path / "m"), "--verify"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert out.count(": equal") == 2
    card = tmp_path / "m" / "README.md"
    card.write_text(card.read_text("utf-8").replace("threads: 1", "threads: true"), "utf-8")
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path / "m"), "--verify"])
    assert capsys.readouterr().out.count(": agrees (other random stream)") == 2
