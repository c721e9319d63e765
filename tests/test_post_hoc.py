"""Averages of any length, made after training from snapshots."""

import json
import logging
import shutil
from unittest.mock import MagicMock, patch

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import genzoo
from genzoo.cli import main
from genzoo.errors import ConfigError, LoadError, OutputExistsError, WeightsError
from genzoo.post_hoc import averaged_model, find_average
from genzoo.report.averages import read_averages
from genzoo.training import Callback
from genzoo.training.power_functions import gamma_of
from genzoo.training.snapshots import list_snapshots
from reports import check_harmless, page_of
from test_resume import game

LENGTHS = (0.05, 0.1)
STEPS = 200


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])


class Weights(Callback):
    """Keeps the weights after every update."""

    def __init__(self):
        self.kept = []

    def on_step(self, state, row):
        named = state.model.named_parameters()
        self.kept.append({name: p.detach().clone() for name, p in named})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run in double precision, with the weights after each of its updates."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    bits = (np.random.default_rng(0).random((200, 12)) < 0.3).astype(np.uint8)
    path = folder.parent / "bits.npz"
    np.savez(path, train=bits, test=bits[:50])
    data = genzoo.load_dataset(str(path))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = genzoo.create_model("rbm", data=data, num_hidden=5).double()
    watching = Weights()
    config = genzoo.TrainerConfig(
        max_steps=STEPS, batch_size=20, threads=1, save_steps=0, ema_sigma_rel=LENGTHS
    )
    genzoo.Trainer(model, data, config=config, output_dir=folder, callbacks=[watching]).fit()
    return folder, watching.kept


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "run")


def profile(step, sigma_rel):
    """The weight of each update in an average, exactly."""
    gamma, i = gamma_of(sigma_rel), np.arange(1, step + 1)
    found = np.zeros(STEPS)
    found[:step] = (i ** (gamma + 1) - (i - 1.0) ** (gamma + 1)) / step ** (gamma + 1.0)
    return found


def command(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    found = capsys.readouterr()
    assert left.value.code == code, found
    return found.out + found.err


@pytest.mark.parametrize("sigma_rel", LENGTHS)
@pytest.mark.parametrize("step", [STEPS, 100])
def test_at_a_stored_length_it_is_the_stored_average(trained, sigma_rel, step):
    folder, _ = trained
    model = genzoo.post_hoc_ema(folder, sigma_rel, step=step)
    snapshots = list_snapshots(folder)
    (stored,) = (s for s in snapshots if (s.step, s.sigma_rel) == (step, sigma_rel))
    for name, tensor in load_file(stored.path).items():
        assert torch.allclose(model.state_dict()[name], tensor, rtol=0, atol=1e-6)
    last = genzoo.GenModel.from_pretrained(folder).state_dict()
    assert not all(torch.equal(last[name], model.state_dict()[name]) for name in last)


@pytest.mark.parametrize(
    ("sigma_rel", "step"),
    [(0.03, STEPS), (0.07, STEPS), (0.13, STEPS), (0.20, STEPS), (0.07, 100), (0.13, 100)],
)
def test_it_is_the_direct_sum_of_the_weights_of_all_updates(trained, sigma_rel, step):
    folder, kept = trained
    found = find_average(folder, sigma_rel, step=step)
    assert found.relative_error <= 1e-2
    assert max(one.step for one in found.snapshots) == step
    weights = sum(
        weight * profile(one.step, one.sigma_rel)
        for one, weight in zip(found.snapshots, found.weights, strict=True)
    )
    model = averaged_model(found)
    for name, parameter in model.named_parameters():
        direct = sum(w * one[name] for w, one in zip(weights, kept, strict=True))
        assert parameter.dtype == torch.float64
        assert torch.allclose(parameter, direct, rtol=0, atol=1e-6)
        # And it is near the average that training would have made with this length.
        exact = sum(w * one[name] for w, one in zip(profile(step, sigma_rel), kept, strict=True))
        spread = max((one[name] - exact).norm() for one in kept)
        assert (parameter - exact).norm() <= 2 * found.relative_error * spread


def test_a_model_in_single_precision_too(tmp_path):
    """With two players, batch norm, and buffers, which are those of the update."""
    trainer = game(tmp_path, steps=60, ema_sigma_rel=LENGTHS, ema_snapshots=30, ema_decay=0.0)
    watching = Weights()
    trainer.callbacks.append(watching)
    trainer.fit()
    for sigma_rel in LENGTHS:
        model = genzoo.post_hoc_ema(tmp_path, sigma_rel)
        stored = load_file(list_snapshots(tmp_path)[-2 + LENGTHS.index(sigma_rel)].path)
        for name, tensor in model.state_dict().items():
            assert torch.allclose(tensor, stored[name], rtol=0, atol=1e-6)
    early = genzoo.post_hoc_ema(tmp_path, 0.07, step=30)
    for name, buffer in early.named_buffers():
        (at,) = (s for s in list_snapshots(tmp_path) if (s.step, s.sigma_rel) == (30, 0.05))
        assert torch.equal(buffer, load_file(at.path)[name])


def test_one_tensor_is_read_at_a_time(run, monkeypatch):
    """Memory is that of the model, not of the snapshots."""
    import genzoo.post_hoc as module

    opened, most = [], 0

    class Watched:
        def __init__(self, path, **_):
            self.tensors = load_file(path)

        def __enter__(self):
            opened.append(self)
            nonlocal most
            most = max(most, len(opened))
            return self

        def __exit__(self, *_):
            opened.remove(self)

        def get_tensor(self, name):
            return self.tensors[name]

    monkeypatch.setattr(module, "safe_open", Watched)
    genzoo.post_hoc_ema(run, 0.07)
    assert most == 1


# What is written.


def test_the_folder_is_a_model_whose_card_says_how_it_was_made(run, capsys, tmp_path):
    out = command(f"ema {run} --sigma-rel 0.07 --output {tmp_path}/averaged", capsys)
    assert "relative error 4.0e-04" in out
    made = genzoo.GenModel.from_pretrained(tmp_path / "averaged")
    same = genzoo.post_hoc_ema(run, 0.07)
    assert all(torch.equal(made.state_dict()[n], t) for n, t in same.state_dict().items())
    card = " ".join((tmp_path / "averaged" / "README.md").read_text().split())
    assert "σ_rel is 0.07, after 200 updates, and the relative error of its profile 4.0e" in card
    assert "genzoo ema runs/run --sigma-rel 0.07 --stage 0 --step 200 --output" in card
    # As the recipe is a recipe still, so is the folder a run's: it can be evaluated on its data.
    assert genzoo.Recipe.read(tmp_path / "averaged" / "recipe.toml").model.name == "rbm"
    assert "post-hoc" not in (run / "recipe.toml").read_text()
    with pytest.raises(OutputExistsError, match="holds another run or model"):
        genzoo.post_hoc_ema(run, 0.1, output_dir=tmp_path / "averaged")
    command(f"ema {run} --sigma-rel 0.1 --output {tmp_path}/averaged", capsys, 2)
    genzoo.post_hoc_ema(run, 0.1, output_dir=tmp_path / "averaged", overwrite=True)
    assert "σ_rel is 0.1" in " ".join((tmp_path / "averaged" / "README.md").read_text().split())


def test_a_card_believes_no_other_comment(run, tmp_path):
    from genzoo.card import write_card

    text = (run / "recipe.toml").read_text()
    hostile = "# Averaged after training: sigma_rel 0.1, stage 0, step 2; rm, relative error 1\n"
    (run / "recipe.toml").write_text(hostile + text)
    write_card(run)
    assert "genzoo ema" not in (run / "README.md").read_text()


def test_by_default_it_is_written_into_the_run(run, capsys):
    before = (run / "model.safetensors").read_bytes()
    command(f"ema {run} --sigma-rel 0.07 0.1", capsys)
    assert {path.name for path in (run / "ema").iterdir()} == {"0.07", "0.1"}
    (run / "ema" / "0.1" / "evaluation-of-other-weights.json").touch()
    command(f"ema {run} --sigma-rel 0.1 --step 100", capsys)
    assert not (run / "ema" / "0.1" / "evaluation-of-other-weights.json").exists()
    assert (run / "model.safetensors").read_bytes() == before
    assert "step 100" in (run / "ema" / "0.1" / "recipe.toml").read_text().splitlines()[0]


def test_nothing_is_written_through_a_link(run, tmp_path, capsys):
    (tmp_path / "elsewhere" / "0.1").mkdir(parents=True)
    (tmp_path / "elsewhere" / "0.1" / "mine").touch()
    (run / "ema").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in command(f"ema {run} --sigma-rel 0.1", capsys, 2)
    assert (tmp_path / "elsewhere" / "0.1" / "mine").exists()


def figures(run):
    entries = json.loads((run / "ema.json").read_text())["averages"]
    return {
        (one["sigma_rel"], one["step"], name): figure["value"]
        for one in entries
        for name, figure in one["evaluation"]["figures"].items()
    }


def test_each_length_is_evaluated_and_its_figures_are_stored(trained, run, capsys):
    line = f"ema {run} --metrics log-likelihood --max-examples 30"
    command(f"{line} --sigma-rel 0.05 0.1", capsys)
    command(f"{line} --sigma-rel 0.1 0.15 --step 100", capsys)
    command(f"{line} --sigma-rel 0.1 0.15", capsys)
    assert not (run / "ema").exists()
    found = figures(run)
    at = {(s, t) for s, t, name in found if name == "log-likelihood"}
    assert at == {(0.05, 200), (0.1, 200), (0.15, 200), (0.1, 100), (0.15, 100)}
    data = genzoo.load_dataset(str(trained[0].parent / "bits.npz"), "test")
    for sigma_rel in (0.05, 0.15):
        model = genzoo.post_hoc_ema(run, sigma_rel)
        own = genzoo.evaluate(model, data, "log-likelihood", max_examples=30)
        value = own.figures["log-likelihood"].value
        assert found[sigma_rel, 200, "log-likelihood"] == pytest.approx(value, abs=1e-12)
    # Other settings are other figures, the same ones are replaced.
    num = len(json.loads((run / "ema.json").read_text())["averages"])
    command(f"{line} --sigma-rel 0.1", capsys)
    assert len(json.loads((run / "ema.json").read_text())["averages"]) == num
    command(f"{line} --sigma-rel 0.1 --seed 1", capsys)
    assert len(json.loads((run / "ema.json").read_text())["averages"]) == num + 1


def test_figures_that_cannot_be_read_are_replaced(run, capsys):
    for text in ("half a {", "[]", '{"averages": [3, {"stage": 0}]}'):
        (run / "ema.json").write_text(text)
        command(f"ema {run} --metrics log-likelihood --sigma-rel 0.1 --max-examples 9", capsys)
        assert len(json.loads((run / "ema.json").read_text())["averages"]) == 1


# What is refused.


@pytest.mark.parametrize("sigma_rel", [0.01, 0.02, 0.25, 0.28])
def test_a_length_that_the_snapshots_do_not_allow_is_refused(trained, sigma_rel):
    with pytest.raises(ConfigError, match=r"and 0\.01 is allowed") as raised:
        genzoo.post_hoc_ema(trained[0], sigma_rel)
    text = str(raised.value)
    assert "Choose a length between 0.025 and 0.235" in text
    genzoo.post_hoc_ema(trained[0], 0.025)
    genzoo.post_hoc_ema(trained[0], 0.235)


def test_with_few_snapshots_few_lengths_are_possible(run):
    for one in list_snapshots(run):
        if one.step not in (STEPS, 100) or one.sigma_rel != 0.05:
            one.path.unlink()
    genzoo.post_hoc_ema(run, 0.05)
    with pytest.raises(ConfigError, match="after 2 updates up to 200: the relative error is 0"):
        genzoo.post_hoc_ema(run, 0.1)


def test_a_run_without_snapshots_or_with_others_is_refused(run):
    with pytest.raises(LoadError, match=r"no snapshot after update 7 of stage 0\. Choose"):
        genzoo.post_hoc_ema(run, 0.1, step=7)
    with pytest.raises(LoadError, match=r"no snapshots of stage 1\. Choose"):
        genzoo.post_hoc_ema(run, 0.1, stage=1)
    shutil.rmtree(run / "ema-snapshots")
    with pytest.raises(LoadError, match=r"no snapshots of averages. Train with --trainer.ema-s"):
        genzoo.post_hoc_ema(run, 0.1)


@pytest.mark.parametrize("what", ["half", "empty", "gone", "other", "shape", "nan"])
def test_a_snapshot_that_is_not_whole_is_refused_by_its_name(run, what, monkeypatch):
    one = list_snapshots(run)[70]
    tensors = load_file(one.path)
    name = next(iter(dict(genzoo.GenModel.from_pretrained(run).named_parameters())))
    if what == "half":
        one.path.write_bytes(one.path.read_bytes()[:-100])
    elif what == "empty":
        one.path.write_bytes(b"")
    elif what == "gone":
        found = find_average(run, 0.1)
        monkeypatch.setattr("genzoo.post_hoc.find_average", lambda *_, **__: found)
        one.path.unlink()
    elif what == "other":
        save_file({"more": torch.zeros(3), **tensors}, one.path)
    elif what == "shape":
        save_file({**tensors, name: torch.zeros(3)}, one.path)
    else:
        save_file({**tensors, name: tensors[name] * float("nan")}, one.path)
    message = "NaN or inf" if what == "nan" else "is damaged"
    with pytest.raises(WeightsError, match=message) as raised:
        genzoo.post_hoc_ema(run, 0.1)
    assert what == "nan" or one.path.name in str(raised.value)
    if one.path.exists():  # The remedy of the message.
        one.path.unlink()
    monkeypatch.undo()
    genzoo.post_hoc_ema(run, 0.1)


def at(run, step, sigma_rel):
    """Return the file of a snapshot."""
    found = list_snapshots(run)
    return next(one.path for one in found if (one.step, one.sigma_rel) == (step, sigma_rel))


@pytest.mark.parametrize(
    ("source", "target"), [((100, 0.05), (200, 0.05)), ((200, 0.1), (200, 0.05))]
)
def test_a_snapshot_that_lies_at_the_place_of_another_is_refused(run, source, target):
    path = at(run, *target)
    shutil.copy(at(run, *source), path)
    held, named = (f"stage 0, step {step}, sigma_rel {s}" for step, s in (source, target))
    with pytest.raises(WeightsError) as raised:
        genzoo.post_hoc_ema(run, 0.1)
    message = str(raised.value)
    assert f"The snapshot {path} holds {held}, and its name says {named}: put the " in message
    path.unlink()  # The second remedy.
    genzoo.post_hoc_ema(run, 0.1)


def test_a_snapshot_of_another_stage_is_refused_too(run):
    path = at(run, 100, 0.05)
    path.rename(path.with_name(path.name.replace("stage-000", "stage-001")))
    with pytest.raises(WeightsError, match=r"holds stage 0, .* and its name says stage 1, "):
        genzoo.post_hoc_ema(run, 0.05, stage=1)


@pytest.mark.parametrize("label", ["half a {", "[]", "{}", "null", "9" * 5000])
def test_a_label_that_is_none_of_ours_is_refused(run, label):
    path = at(run, 100, 0.05)
    save_file(load_file(path), path, metadata={"snapshot": label})
    with pytest.raises(WeightsError, match="is not a snapshot's label, and its name says stage 0"):
        genzoo.post_hoc_ema(run, 0.1)


def test_a_snapshot_without_a_label_is_what_its_name_says(run):
    before = genzoo.post_hoc_ema(run, 0.07).state_dict()
    save_file(load_file(at(run, 100, 0.05)), at(run, 100, 0.05))
    after = genzoo.post_hoc_ema(run, 0.07).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("what", ["half", "other"])
def test_all_headers_are_read_before_anything_is_printed_or_summed(run, what, monkeypatch, capsys):
    path = at(run, 200, 0.1)  # The last one.
    if what == "half":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        shutil.copy(at(run, 100, 0.1), path)
    monkeypatch.setattr("genzoo.post_hoc._add", lambda *_: pytest.fail("it is summed"))
    text = command(f"ema {run} --sigma-rel 0.07 0.05", capsys, 2)
    assert path.name in text
    assert "relative error" not in text


def test_an_average_is_not_written_among_the_files_of_its_run(run, tmp_path, capsys):
    (tmp_path / "link").symlink_to(run / "checkpoints")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    places = (run, run / "checkpoints", run / "new" / "one", run / "ema", tmp_path / "link")
    for folder in (*places, run / "ema" / ".." / "best"):
        for more in ("", " --overwrite"):
            line = f"ema {run} --sigma-rel 0.1 --output {folder}{more}"
            text = command(line, capsys, 2)
            assert f"written into {str(folder)!r}, among the files of the run" in text
            assert f"or one in {str(run / 'ema')!r}." in text
        with pytest.raises(ConfigError, match="among the files of the run"):
            genzoo.post_hoc_ema(run, 0.1, output_dir=folder, overwrite=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for folder in (run / "ema" / "mine", run.parent / "run-0.1"):
        command(f"ema {run} --sigma-rel 0.1 --output {folder}", capsys)
        genzoo.GenModel.from_pretrained(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    message = f"There is no folder '{tmp_path}/nope'. Give the folder of genzoo train --output."
    for more in ("", " --metrics log-likelihood", f" --output {tmp_path}/x"):
        assert message in command(f"ema {tmp_path}/nope --sigma-rel 0.07{more}", capsys, 2)
    with pytest.raises(LoadError, match="There is no folder"):
        genzoo.post_hoc_ema(tmp_path / "nope", 0.07)


def test_a_run_that_has_not_ended_is_refused(run):
    (run / "config.json").unlink()
    with pytest.raises(LoadError, match="has no model yet"):
        genzoo.post_hoc_ema(run, 0.1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ema RUN --sigma-rel 0.1 0.1", "has a length twice"),
        ("ema RUN --sigma-rel 0.1 0.05 --output x", "2 lengths are given"),
        (
            "ema RUN --sigma-rel 0.5",
            "error: --sigma-rel must be in [0.01, 0.28], got 0.5. Give a ",
        ),
        ("ema RUN --sigma-rel 0.5", "Give a shorter length, such as 0.1: "),
        ("ema RUN --sigma-rel 0.001", "Give a longer length, such as 0.1: "),
        ("ema RUN --sigma-rel 0.1 nan", "error: --sigma-rel must be finite, got nan."),
        ("ema RUN --sigma-rel", "error: --sigma-rel: give 1 to 100 lengths, got ()."),
        ("ema RUN", "--sigma-rel"),
        ("ema ada/model --sigma-rel 0.1", "is a repository"),
        ("ema RUN --sigma-rel 0.1 --output RUN", "among the files of the run"),
        ("ema RUN --sigma-rel 0.1 --metrics nonsense", "nonsense"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_sentence(line, message, run, capsys):
    text = command(line.replace("RUN", str(run)), capsys, 2)
    assert message in text
    assert "Traceback" not in text


# The report.


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Reports are written to the current folder."""
    monkeypatch.chdir(tmp_path)


def averages(*entries):
    """Return what ``genzoo ema --metrics`` stores: entries of (sigma_rel, step, value)."""
    goal = {"direction": "lower", "best": 0}
    figure = {"std_error": 0.25, "kind": "exact", "unit": "nats", "notes": [], "goal": goal}
    found = [
        {
            "stage": 0,
            "step": step,
            "sigma_rel": sigma_rel,
            "relative_error": 0.001,
            "evaluation": {
                "figures": {"score": {**figure, "value": value}},
                "provenance": {"data": "mine", "seed": 0, "torch": f"2.{step}"},
            },
        }
        for sigma_rel, step, value in entries
    ]
    return json.dumps({"averages": found})


def test_the_report_plots_each_figure_against_the_length(run):
    page = page_of(run)
    assert "Averages of other lengths" not in page.text
    num = page.elements.count("svg")
    stored = averages((0.1, 200, 3.0), (0.05, 200, 2.0), (0.2, 200, 4.5), (0.1, 100, 9.0))
    (run / "ema.json").write_text(stored)
    page = page_of(run)
    check_harmless(page)
    assert page.elements.count("svg") == num + 2
    assert "mine, after update 200 of stage 1" in page.text
    assert "mine, after update 100 of stage 1" in page.text
    assert "2.00 ± 0.25 at 0.05" in page.text
    texts = [text.strip() for text in page.texts]
    first = texts.index("0.05")
    rows = [text for text in texts[first:] if text and text not in ("score ↓0", "score ↓ 0")]
    assert rows[:6] == ["0.05", "2.00 ± 0.25", "0.1", "3.00 ± 0.25", "0.2", "4.50 ± 0.25"]


def test_errors_are_drawn_and_the_best_point_is_the_largest(run):
    """Three points in order of the length, with bars of their errors."""
    drawn = []

    class Axes(MagicMock):
        def plot(self, x, y, **how):
            drawn.append((list(x), list(y), how["linewidth"]))

    with patch("genzoo.report.averages.as_svg", lambda paint: paint(Axes()) or ""):
        (run / "ema.json").write_text(averages((0.1, 200, 3.0), (0.05, 200, 2.0), (0.2, 200, 4.5)))
        read_averages(run)
    line, *rest = drawn
    assert line[:2] == ([0.05, 0.1, 0.2], [2.0, 3.0, 4.5])
    bars, points = rest[::2], rest[1::2]
    assert [bar[:2] for bar in bars] == [
        ([0.05, 0.05], [1.75, 2.25]),
        ([0.1, 0.1], [2.75, 3.25]),
        ([0.2, 0.2], [4.25, 4.75]),
    ]
    assert points[0][2] > points[1][2] == points[2][2]


@pytest.mark.parametrize(
    "text",
    [
        "half a {",
        "[]",
        '{"averages": 3}',
        '{"averages": [{"stage": 0}]}',
        '{"averages": [{"stage": "x", "step": 1, "evaluation": {"provenance": {}}}]}',
        averages((float("nan"), 1, 2.0)),
        averages((1e300, 1, 2.0)).replace("2.0", "1e999"),
    ],
)
def test_figures_that_are_none_of_ours_are_left_out_of_the_report(run, text):
    (run / "ema.json").write_text(text)
    page = page_of(run)
    assert "Finished" in page.text
    assert "ema.json was left out" in page.text


def test_texts_of_the_figures_are_text_in_the_report(run):
    payload = '<script>document.title="owned"</script>'
    text = averages((0.1, 200, 3.0), (0.05, 200, 2.0))
    for name in ("score", "mine", "nats"):
        text = text.replace(f'"{name}"', json.dumps(payload))
    (run / "ema.json").write_text(text)
    page = page_of(run)
    check_harmless(page)
    assert payload in page.text
