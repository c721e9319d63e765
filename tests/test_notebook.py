"""The notebook of the documentation is executed by a kernel, and its outputs are looked for."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

PATH = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"
STOP = """
import os, signal
from genzoo.training import Callback

class Stop(Callback):
    def on_step(self, state, row):
        if state.step == 30:
            os.kill(os.getpid(), signal.SIGINT)  # As the button of a notebook does.

config = genzoo.TrainerConfig(max_steps=40, threads=1)
stopped = genzoo.Trainer(model, train, config=config, output_dir="stopped", callbacks=[Stop()])
stopped.fit()
"""
GO_ON = "stopped.fit(resume=True);"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Return the outputs of each cell of the notebook by its source, and of two more."""
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    room = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(PATH, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (STOP, GO_ON)]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, str(room / name.lower()))
        patch.setenv("OMP_NUM_THREADS", "1")
        runner = client.NotebookClient(
            notebook, timeout=300, allow_error_names=["TrainingInterrupted"]
        )
        runner.resources = {"metadata": {"path": str(room)}}
        runner.execute()
    nbformat.validate(notebook)
    return {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def of(outputs, part):
    """Return the outputs of the cell whose source contains a text."""
    (found,) = (given for source, given in outputs.items() if part in source)
    return found


def picture(output):
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))


def test_the_committed_notebook_is_small_and_has_no_outputs():
    cells = json.loads(PATH.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert PATH.stat().st_size < 10_000


def test_no_cell_writes_warnings_or_logs(outputs):
    assert [o for given in outputs.values() for o in given if o["output_type"] == "stream"] == []


def test_fit_shows_a_bar_that_has_ended_evaluations_and_the_newest_samples(outputs):
    bar, samples = of(outputs, "sample_steps")
    steps = re.findall(r"<td>(200|400|600)</td>", bar["data"]["text/html"])
    assert steps == ["200", "400", "600"]
    assert "elbo: 600 of 600 updates in " in bar["data"]["text/html"]
    assert 'max="600"' in bar["data"]["text/html"]
    assert samples["data"]["text/plain"] == "samples after step 600"
    assert picture(samples).width >= 320


def test_data_and_models_are_tables(outputs):
    (data,) = of(outputs, "load_dataset")
    assert "data:image/png;base64" in data["data"]["text/html"]
    (model,) = of(outputs, "create_model")
    assert "19,792 (float32, cpu)" in model["data"]["text/html"]
    assert "log-prob (lower bound)" in model["data"]["text/html"]
    (loaded,) = of(outputs, "from_pretrained")
    assert loaded["data"]["text/html"] == model["data"]["text/html"]


@pytest.mark.parametrize("cell", ["trainer.plot()", "model.sample(64", "interpolation("])
def test_the_last_line_is_shown_once_as_a_picture(outputs, cell):
    (shown,) = of(outputs, cell)
    assert min(picture(shown).size) > 200


def test_figures_say_what_they_are(outputs):
    *_, shown = of(outputs, "genzoo.evaluate")  # A bar comes before it if it takes a second.
    page = shown["data"]["text/html"]
    assert "<table" in page
    assert "log-likelihood" in page
    assert "lower bound" in page


def test_the_stop_button_shows_one_sentence_and_the_run_goes_on(outputs):
    bar, *_, error = of(outputs, "SIGINT")
    assert "elbo: 30 of 40 updates in " in bar["data"]["text/plain"]
    (sentence,) = error["traceback"]
    assert sentence.startswith("Training was stopped by a signal after step 30; it is saved in ")
    assert "fit(resume=True)" in sentence
    again, *_ = of(outputs, GO_ON)
    assert "elbo: 40 of 40 updates in " in again["data"]["text/plain"]
    assert "Going on from " in again["data"]["text/plain"]
