"""The suite itself: models broken on purpose, each caught by the check that names its fault."""

import json
import logging
import subprocess
import sys
from unittest import SkipTest

import pytest
import torch
import torch.nn.functional as F

import families
from broken_models import ANY, BROKEN, LEFT, SOUND
from genzoo import Label, Unit, capabilities, registry
from genzoo.cli import main
from genzoo.cli.check import _causes
from genzoo.errors import ConfigError, DataError, UnknownNameError
from genzoo.testing import (
    BY_CAPABILITY,
    CHECKS,
    Case,
    CheckFailed,
    ModelSuite,
    NotApplicable,
    Outcome,
    check_model,
    checks,
    conformance,
    run_checks,
    suites,
)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Forget what a test registers, and undo what its model does to everybody."""
    monkeypatch.setattr(registry, "_local", dict(registry._local))
    relu, deterministic = F.relu, torch.are_deterministic_algorithms_enabled()
    yield
    F.relu = relu
    torch.use_deterministic_algorithms(deterministic)
    LEFT.set()


def failing(name):
    """Return the checks that a registered model fails, with what they say."""
    return {o.check: o.message for o in run_checks(name) if o.status == "failed"}


def test_there_are_thirty_and_more():
    assert len(BROKEN) >= 30
    assert {check for _, check, _, _ in BROKEN.values()} <= {c.__name__ for c in CHECKS}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_caught_by_the_check_that_names_its_fault(name):
    make, check, says, also = BROKEN[name]
    make()
    found = failing(name)
    assert says in found.get(check, ""), found
    if also is not ANY:
        assert found.keys() - {check} <= set(also), found


@pytest.mark.parametrize("name", SOUND)
def test_the_sound_models_that_they_differ_from_pass(name):
    registry.register("models", name)(SOUND[name])
    check_model(name)


def test_every_failure_is_told_at_once_and_by_name():
    BROKEN["loss-for-each-row"][0]()
    with pytest.raises(CheckFailed) as caught:
        check_model("loss-for-each-row")
    lines = str(caught.value).splitlines()
    assert {"check_loss_is_a_mean", "check_resume_is_exact"} <= {x.split(":")[0] for x in lines}


def test_excuses_need_a_reason_that_still_holds():
    make, check, _, _ = BROKEN["metric-with-a-gradient"]
    make()
    check_model("metric-with-a-gradient", expected_failures={check: "It is only logged."})
    with pytest.raises(CheckFailed, match=r"check_samples passes; take it off.*no reason"):
        check_model("toy-linear", expected_failures={"check_samples": "no reason"})
    with pytest.raises(UnknownNameError, match="check_samples"):
        check_model("toy-linear", expected_failures={"check_sample": "misspelt"})
    with pytest.raises(ConfigError, match="no reason"):
        check_model("toy-linear", expected_failures={"check_samples": " "})


def test_excuses_of_what_is_not_looked_at_hold_no_longer_either():
    excuses = {"check_encode": "It has no codes."}
    with pytest.raises(CheckFailed, match="check_encode is not for this model; take it off"):
        check_model("toy-linear", expected_failures=excuses)
    suite = type("Mine", (ModelSuite,), {"name": "toy-linear", "expected_failures": excuses})()
    with pytest.raises(CheckFailed, match="check_encode is not for this model; take it off"):
        suite.test_encode()


def test_a_capability_whose_checks_all_find_nothing_is_a_failure(monkeypatch):
    def idle(case):
        raise NotApplicable("nothing to see")

    name = "sound-exact"
    registry.register("models", name)(SOUND[name])
    changed = {**BY_CAPABILITY}
    (filters,) = [p for p in changed if p.__name__ == "SupportsFilters"]
    changed[filters] = (idle,)
    monkeypatch.setattr(checks, "BY_CAPABILITY", changed)
    monkeypatch.setattr(checks, "CHECKS", (idle,))
    assert "SupportsFilters is declared and never" in failing(name)["check_capabilities"]
    monkeypatch.setattr(suites, "BY_CAPABILITY", changed)
    with pytest.raises(CheckFailed, match="SupportsFilters is declared and never"):
        suites.run_one(idle, name)


def test_every_capability_there_is_has_a_check():
    assert set(BY_CAPABILITY) == set(capabilities.ALL)
    assert all(BY_CAPABILITY.values())


# The ways in


@conformance("toy-linear")
def test_the_decorator_makes_a_test_of_each_check(check):
    check()


class TestSuite(ModelSuite):
    name = "toy-linear"


def test_a_suite_fails_where_the_model_does():
    make, check, says, _ = BROKEN["metric-with-a-gradient"]
    make()
    suite = type("Mine", (ModelSuite,), {"name": "metric-with-a-gradient"})()
    with pytest.raises(CheckFailed, match=says):
        getattr(suite, check.replace("check_", "test_"))()
    suite.test_samples()
    with pytest.raises(SkipTest):
        suite.test_encode()


def test_the_suite_needs_no_pytest():
    code = "import sys, genzoo.testing; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_says_what_fails_and_a_summary(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    BROKEN["metric-with-a-gradient"][0]()
    with pytest.raises(SystemExit) as left:
        main(["check", "metric-with-a-gradient"])
    said = capsys.readouterr()
    assert left.value.code == 2
    (line,) = said.out.splitlines()
    assert line.startswith("check_loss_is_a_mean: ")
    (line,) = said.err.splitlines()
    assert "fails 1 of 31 checks (28 passed, 1 failed, 2 not applicable). Begin with" in line
    assert "check_loss_is_a_mean. All of it: " in line
    assert "genzoo check metric-with-a-gradient --verbose" in line
    excuse = "check_loss_is_a_mean=Only logged."
    with pytest.raises(SystemExit) as left:
        main(["check", "metric-with-a-gradient", "--verbose", "--expect", excuse])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "excused         check_loss_is_a_mean: Only logged." in out
    assert (
        out.splitlines()[-1] == "metric-with-a-gradient: 28 passed, 1 excused, 2 not applicable."
    )


def test_the_first_cause_comes_first_and_one_message_is_one_cause():
    same = [Outcome(f"check_{i}", "failed", "it has no weights") for i in range(3)]
    late = Outcome("check_late", "failed", "x" * 500)
    lines = _causes([same[0], late, *same[1:]])
    assert lines[0] == "check_0 (and 2 more with this message): it has no weights"
    assert lines[1].startswith("check_late: xxx")
    assert len(lines[1]) < 200
    assert _causes([late])[0].endswith("x" * 500)


def test_the_command_speaks_json(capsys):
    with pytest.raises(SystemExit):
        main(["check", "toy-linear", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {"check": "check_samples", "status": "passed", "message": ""} in rows


def test_the_spaces_of_an_examples_rows_are_those_of_its_config():
    """What only an objective reads, or nothing does, has a space that its rows fit."""
    info = Case("toy-cycle", families.Cycle).data().info
    assert info.fields == {"x": Unit(shape=(1, 4, 4)), "y": Unit(shape=(1, 4, 4))}
    info = Case("toy-vae", families.VAE).data().info
    assert info["label"] == Label(num_classes=3)


def test_rows_that_are_not_in_the_examples_space_are_told():
    class Wide(families.Linear):
        """Says that its rows are in [0, 1], which they are not."""

        @classmethod
        def example(cls):
            config, batch = families.Linear.example()
            return config, {"x": 3 * batch["x"]}

    found = Case("wide", Wide).data()
    with pytest.raises(DataError, match="Divide by"):
        found.info["x"].require(found.batch(range(8))["x"], "It")
