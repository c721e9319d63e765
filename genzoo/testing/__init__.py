"""The conformance suite, which every model of the zoo must pass, ours or yours.

It works on the class's ``example()``. There are two tiers: checks that every model must pass, and
checks for each capability that a model declares. There are three ways to run it:

    from genzoo.testing import check_model
    check_model("rbm")  # Raises CheckFailed, which says what is wrong.

    from genzoo.testing import conformance
    @conformance("rbm")  # One pytest test for each check.
    def test_rbm(check):
        check()

    from genzoo.testing import ModelSuite
    class TestRBM(ModelSuite):  # The same, as a class to add your own tests to.
        name = "rbm"

and ``genzoo check rbm`` on the command line. Only the second one needs pytest. ``check_metric``
checks a metric.
"""

from genzoo.capabilities import of as capabilities_of
from genzoo.testing.cases import Case, CheckFailed, NotApplicable, cases, equal_states
from genzoo.testing.checks import BY_CAPABILITY, CHECKS, MUST, checks_for
from genzoo.testing.metrics import check_metric
from genzoo.testing.running import Outcome, check_model, run_check, run_checks, run_command
from genzoo.testing.suites import ModelSuite, conformance

__all__ = [
    "BY_CAPABILITY",
    "CHECKS",
    "MUST",
    "Case",
    "CheckFailed",
    "ModelSuite",
    "NotApplicable",
    "Outcome",
    "capabilities_of",
    "cases",
    "check_metric",
    "check_model",
    "checks_for",
    "conformance",
    "equal_states",
    "run_check",
    "run_checks",
    "run_command",
]
