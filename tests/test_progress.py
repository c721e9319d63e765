"""What long calls show: in a notebook's cell, on a terminal, in a script's standard error."""

import base64
import importlib
import io
import logging
import os
import re
import sys

import pytest
import torch
from PIL import Image

import families
import genzoo
from genzoo import GenModel, progress
from genzoo.cli.texts import LineHandler
from genzoo.errors import DataError
from genzoo.log_prob import by_blocks
from genzoo.training import Callback
from genzoo.training.progress import _write_line
from notebooks import open_notebook
from test_callbacks import Watcher, digits as unseeded


@pytest.fixture(autouse=True)
def untouched_logger(monkeypatch):
    """The logger of a program that has not touched it, whatever earlier fixtures ran."""
    logger = logging.getLogger("genzoo")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0)
    monkeypatch.setattr(progress, "_EVERY", 0)
    return open_notebook(monkeypatch)


def digits(*arguments, **values):
    torch.manual_seed(0)
    return unseeded(*arguments, **values)


class Stream(io.StringIO):
    def __init__(self, is_terminal, is_closed=False):
        super().__init__()
        self.is_terminal, self.is_closed = is_terminal, is_closed

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        if self.is_closed:
            raise OSError(5, "Input/output error")
        return super().write(text)


def streamed(monkeypatch, *, is_terminal, is_closed=False):
    stream = Stream(is_terminal, is_closed)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def equal(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


# Training in a notebook


def test_a_cell_shows_one_bar_with_losses_and_evaluations_and_the_newest_picture(notebook):
    made = digits(max_steps=8, sample_steps=4)
    drawn = []

    class Keep(Callback):
        def on_sample(self, state, pictures):
            drawn.append(pictures["samples"])

    made.callbacks.append(Keep())
    made.fit()
    bar, picture = notebook.outputs.values()
    assert "elbo: 8 of 8 updates in " in bar["text/plain"]
    loss = next(row["model/loss"] for row in made.history if row["step"] == 8)
    assert f"model/loss {loss:.4g}" in bar["text/plain"]
    assert '<progress value="8" max="8"' in bar["text/html"]
    assert bar["text/html"].count("<tr>") == 1 + 4
    evaluated = [row["eval/loss"] for row in made.history if "eval/loss" in row]
    assert all(f"<td>{value:.4g}</td>" in bar["text/html"] for value in evaluated)
    assert "Samples after step 8" in bar["text/plain"]
    shown = Image.open(io.BytesIO(base64.b64decode(picture["image/png"])))
    assert len(drawn) == 2
    assert shown.tobytes() == drawn[1].tobytes()


def test_stages_and_what_is_logged_share_the_bars_output(notebook):
    data = genzoo.load_dataset("digits", limit=64)
    stages = [genzoo.Stage(objective="elbo", trainer={"max_steps": n}) for n in (3, 5)]
    model = genzoo.create_model("vae", data=data)
    watcher = Watcher()
    watcher.on_end = lambda state: logging.getLogger("genzoo").info("one <thing> more")
    config = genzoo.TrainerConfig(sample_steps=0)
    genzoo.Trainer(model, data, stages, config, callbacks=[watcher]).fit()
    (bar,) = notebook.outputs.values()
    first, second, note = bar["text/plain"].splitlines()
    assert "3 of 3 updates in" in first
    assert "5 of 5 updates in" in second
    assert note == "one <thing> more"
    assert "one &lt;thing&gt; more" in bar["text/html"]


def test_only_the_last_evaluations_are_in_the_table(notebook):
    digits(max_steps=12, eval_steps=1, sample_steps=0).fit()
    (bar,) = notebook.outputs.values()
    assert bar["text/html"].count("<tr>") == 1 + 8
    assert "The last 8 of 12 evaluations" in bar["text/plain"]


def test_a_bar_is_not_updated_more_often_than_people_can_read(notebook, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", 1000)
    made = digits(eval_steps=0, sample_steps=0, max_steps=50)
    made.fit()
    assert notebook.num_shown <= 3  # The first update, an evaluation at the end, and the end.


def test_training_does_not_depend_on_what_is_shown(notebook, monkeypatch):
    """The same weights with a cell, a lost one, a terminal that is gone, and nothing."""
    shown = digits().fit()
    state = torch.random.get_rng_state()
    digits().fit()
    assert torch.equal(state, torch.random.get_rng_state())
    assert len(notebook.outputs) == 4
    notebook.is_lost = True
    assert equal(shown, digits().fit())
    monkeypatch.delitem(sys.modules, "IPython")
    gone = streamed(monkeypatch, is_terminal=True, is_closed=True)
    assert equal(shown, digits().fit())
    assert gone.getvalue() == ""
    assert equal(shown, digits(progress=False).fit())


def test_a_run_that_fails_leaves_its_last_numbers_in_the_cell(notebook):
    class Failing(Callback):
        def on_step(self, state, row):
            if state.step == 3:
                raise DataError("enough")

    with pytest.raises(DataError):
        digits(None, Failing()).fit()
    assert "elbo: 3 of 4 updates in " in notebook.texts()[0]
    assert progress._outer == []


def test_every_callback_ends_even_if_one_of_them_fails():
    class Failing(Callback):
        def on_end(self, state):
            raise DataError("enough")

    watcher = Watcher()
    with pytest.raises(DataError):
        digits(None, Failing(), watcher).fit()
    assert watcher.seen[-1] == ("end", 4)


def test_names_of_objectives_are_escaped(notebook):
    count = progress.Count("<b>evil\u202e</b>", "step", 3, made=1, details="<i>")
    assert "<b>" not in count.html()
    assert "<i>" not in count.html()
    assert "\u202e" not in count.html()


# Other calls in a notebook


def test_calls_of_one_cell_share_a_line_and_another_cell_has_its_own(notebook):
    model = families.linear()
    for _ in range(3):
        model.sample(2, batch_size=1, seed=0)
    assert notebook.texts() == ["Sampling: 2 states in 1 second"]
    notebook.execution_count += 1
    model.sample(1, seed=0)
    assert len(notebook.outputs) == 2


def test_a_short_call_shows_nothing(notebook, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 1000)
    families.linear().sample(2, batch_size=1, seed=0)
    assert notebook.outputs == {}


def test_a_call_inside_of_another_is_a_second_line_for_its_time(notebook):
    with progress.progress_bar("Outer", "part", 2) as outer:
        outer.update()
        with progress.progress_bar("Inner", "step", None) as inner:
            inner.update(5)
            lines = notebook.texts()[0].splitlines()
            assert [line.split(",")[0] for line in lines] == [
                "Outer: 1 of 2 parts",
                "Inner: 5 steps",
            ]
    assert notebook.texts() == ["Outer: 1 of 2 parts in 1 second"]


def test_an_evaluation_counts_its_metrics(notebook):
    data = genzoo.load_dataset("digits", "test", binarize="threshold", limit=20)
    model = genzoo.create_model("rbm", data=data, num_hidden=2)
    genzoo.evaluate(model, data, ["independent-pixels", "log-likelihood"])
    assert notebook.texts()[0].startswith("Evaluating: 2 of 2 metrics in ")


def test_a_likelihood_counts_its_rows_and_annealing_its_temperatures(notebook):
    with torch.no_grad():
        by_blocks(lambda rows: torch.zeros(rows.stop - rows.start), 10, 3)
    assert notebook.texts() == ["Log-likelihood: 10 of 10 rows in 1 second"]
    data = genzoo.load_dataset("digits", "test", binarize="threshold", limit=20)
    model = genzoo.create_model("rbm", data=data, num_hidden=23)
    model.log_partition_function("ais", num_chains=2, betas=torch.linspace(0, 1, 101))
    assert notebook.texts() == ["Annealing: 100 of 100 temperatures in 1 second"]


def test_a_download_is_a_line_of_the_cell(hub, notebook, monkeypatch):
    bars = importlib.import_module("huggingface_hub.utils.tqdm")
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    data = genzoo.load_dataset("digits", limit=20)
    genzoo.create_model("vae", data=data).push_to_hub("ada/digits", samples=0)
    GenModel.from_pretrained("ada/digits")
    assert re.fullmatch(
        r"Downloading model\.safetensors: ([\d,]+) of \1 bytes in 1 second", notebook.texts()[0]
    )


def test_time_left_follows_the_pace():
    count = progress.Count("a", "step", 10, made=5)
    count.began -= 60
    assert count.text() == "a: 5 of 10 steps, about 60 seconds left"


# Where it is shown


@pytest.mark.parametrize(("name", "value"), [("RANK", "1"), ("TQDM_DISABLE", "1")])
def test_other_processes_and_those_who_ask_for_quiet_see_nothing(
    name, value, notebook, monkeypatch
):
    assert progress.place() == "notebook"
    monkeypatch.setenv(name, value)
    assert progress.place() == "nowhere"
    monkeypatch.delenv(name)
    with progress.hidden():
        assert progress.place() == "nowhere"


def test_a_forked_process_is_not_the_notebook(notebook, monkeypatch):
    session = type("Session", (), {"pid": os.getpid() + 1})
    notebook.kernel = type("Kernel", (), {"session": session})
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress.place() == "nowhere"


@pytest.mark.parametrize("stream", [None, object()])
def test_a_program_may_have_no_standard_error(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    assert progress.place() == "nowhere"
    families.linear().sample(2, seed=0)


# A script


def test_a_script_shows_lines_on_standard_error_and_leaves_the_logger_as_it_was(monkeypatch):
    stream = streamed(monkeypatch, is_terminal=False)
    digits(max_steps=40, eval_steps=20, sample_steps=0).fit()
    said = stream.getvalue().splitlines()
    assert sum(" of 40: model/loss" in line for line in said) == 10
    assert sum("elbo step" in line and ": eval/loss" in line for line in said) == 2
    assert sum("more updates" in line for line in said) == 1
    logger = logging.getLogger("genzoo")
    assert (logger.level, logger.handlers, logger.propagate) == (logging.NOTSET, [], True)


def test_a_terminal_has_a_bar_and_a_line_for_each_evaluation(monkeypatch):
    stream = streamed(monkeypatch, is_terminal=True)
    digits().fit()
    assert "elbo: 100%" in stream.getvalue()
    assert stream.getvalue().count("eval/loss") == 2


@pytest.mark.parametrize("write", ["script", "command"])
def test_lines_are_written_above_a_bar(write, monkeypatch):
    """A line starts on a line of its own, and the bar is drawn again below it."""
    stream = streamed(monkeypatch, is_terminal=True)
    bar = progress.Terminal(total=3, desc="title", mininterval=0)
    bar.call("update")
    if write == "script":
        _write_line("one line")
    else:
        record = logging.LogRecord("genzoo", logging.INFO, "", 1, "one line", (), None)
        LineHandler().emit(record)
    bar.call("close")
    assert re.search(r"\r *\rone line\n\r?title:  33%", stream.getvalue())


def test_quiet_is_quiet_and_a_program_with_its_own_logging_decides(monkeypatch, caplog):
    stream = streamed(monkeypatch, is_terminal=True)
    digits(progress=False).fit()
    monkeypatch.setattr(stream, "is_terminal", False)
    with caplog.at_level(logging.ERROR, logger="genzoo"):
        digits().fit()
    with caplog.at_level(logging.INFO, logger="genzoo"):
        digits().fit()
    assert stream.getvalue() == ""
    assert any("model/loss" in record.getMessage() for record in caplog.records)


def test_warnings_reach_the_programs_handlers(monkeypatch, caplog):
    stream = streamed(monkeypatch, is_terminal=False)

    class Warns(Callback):
        def on_end(self, state):
            logging.getLogger("genzoo").warning("careful")

    digits(None, Warns()).fit()
    assert "careful" not in stream.getvalue()
    assert [record.getMessage() for record in caplog.records] == ["careful"]
