"""Flags whose names depend on a model."""

from __future__ import annotations

from collections.abc import Sequence

_PREFIX = "--condition."


def rewritten(args: Sequence[str]) -> list[str]:
    """Replace ``--condition.NAME VALUE`` in arguments by ``--condition NAME=VALUE``.

    The names of conditions are known only after the model is loaded.

    >>> rewritten(["folder", "--condition.angle", "0.5", "--condition.angle=1"])
    ['folder', '--condition', 'angle=0.5', '--condition', 'angle=1']
    """
    found: list[str] = []
    left = list(args)
    while left:
        flag, joined, value = left[0].partition("=")
        argument = left.pop(0)
        if not flag.startswith(_PREFIX):
            found.append(argument)
            continue
        name = flag.removeprefix(_PREFIX).replace("-", "_")
        if not joined and left and not left[0].startswith("--"):
            joined, value = "=", left.pop(0)
        found += ["--condition", f"{name}{joined}{value}"]
    return found
