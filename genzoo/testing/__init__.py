"""The conformance suite: what every model of the zoo, ours or yours, must pass.

Each check is a function of a model's class that raises `CheckFailed`, and says what is wrong.
They work on the class's own ``example()``, so nothing is listed by hand:

    from genzoo.testing import check_model
    check_model("rbm")
"""

from __future__ import annotations

from genzoo.testing.cases import Case, CheckFailed, cases
from genzoo.testing.checks import CHECKS, check_model

__all__ = ["CHECKS", "Case", "CheckFailed", "cases", "check_model"]
