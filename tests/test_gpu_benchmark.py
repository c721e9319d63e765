"""benchmarks/gpu.py: what is timed, what is printed, and that it runs where there is no GPU."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def measuring():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("gpu_measuring")


@pytest.fixture
def clock(monkeypatch, measuring):
    """A clock that loops set forward."""

    class Clock:
        now = 100.0

        def loop(self, *seconds):
            """Return a loop whose first steps take these seconds, and the others the last."""

            def run(steps, on_step):
                for step in range(1, steps + 1):
                    self.now += seconds[min(step, len(seconds)) - 1]
                    on_step(step)

            return run

    found = Clock()
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: found.now)
    return found


def test_steps_after_the_warm_ones_are_timed(measuring, clock):
    assert measuring.timed(clock.loop(50.0, 7.0, 2.0), CPU, 2, 3) == pytest.approx(6.0)


def test_a_measurement_has_as_many_steps_as_fit(measuring, clock):
    row = measuring.Row("a", clock.loop(30.0, 0.25))
    measuring.prepare(row, CPU, warm=1, seconds=2.0, most=100)
    assert row.set_up == pytest.approx(30.0)
    assert row.steps == 8
    measuring.prepare(row, CPU, warm=1, seconds=2.0, most=5)
    assert row.steps == 5


def test_a_line_has_the_median_of_ratios_round_by_round(measuring):
    reference = measuring.Row("by hand", None, rates=[1.0, 10.0, 100.0])
    row = measuring.Row("ours", None, "by hand", rates=[2.0, 30.0, 100.0], set_up=1.5)
    cells = [cell.strip() for cell in measuring.line(row, reference).strip("|").split("|")]
    assert cells[:6] == ["ours", "1.5", "30", "by hand", "2.00 (1.00 to 3.00)", "3"]
    assert cells[6:] == ["–"] * 5
    assert len(cells) == measuring.heading("updates/s").splitlines()[0].count("|") - 1


def test_the_busy_share_is_that_of_the_time_without_the_profiler(measuring):
    row = measuring.Row("ours", None, rates=[20.0], per_update=2)
    row.facts = {"busy": 25.0, "peak": 1.0, "waits": 1.0, "waited": 0.5, "copied": 0.01}
    cells = [cell.strip() for cell in measuring.line(row, None).strip("|").split("|")]
    assert cells[6:] == ["1.00", "25", "1.0", "0.50", "0.010"]


def test_what_failed_says_so_in_a_whole_line(measuring):
    text = measuring.line(measuring.Row("ours", None, failure="RuntimeError: no compiler"), None)
    assert "| ours | RuntimeError: no compiler |" in text
    assert text.count("|") == measuring.heading("updates/s").splitlines()[0].count("|")


def gpu(*arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.full
@pytest.mark.skipif(torch.cuda.is_available(), reason="It would start to measure.")
def test_without_a_gpu_it_says_what_to_give():
    done = gpu()
    assert done.returncode == 2
    assert "--tiny" in done.stderr


@pytest.mark.full
def test_everything_runs_on_a_cpu():
    done = gpu("--tiny")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [text for text in done.stdout.splitlines() if text.startswith("| ")]
    rows = [text for text in lines if not text.startswith(("| loop", "| ---"))]
    assert len(rows) == 9 + 5 + 6 + 4
    assert [text for text in rows if "Error" in text or "left out" in text] == []
    for name in ("diffusers' example, bf16", "channels last, compile_regions", "compile |"):
        assert any(name in text for text in rows), name
