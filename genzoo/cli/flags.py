"""Flags whose names are not known before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence

_PREFIX = "--condition."


def rewritten(args: Sequence[str]) -> list[str]:
    """Return arguments in which ``--condition.NAME VALUE`` is ``--condition NAME=VALUE``.

    Which conditions there are is known once the model is loaded.

    >>> rewritten(["folder", "--condition.angle", "0.5", "--condition.angle=1"])
    ['folder', '--condition', 'angle=0.5', '--condition', 'angle=1']
    """
    found: list[str] = []
    rest = iter(args)
    for argument in rest:
        flag, joined, value = argument.partition("=")
        if not flag.startswith(_PREFIX):
            found.append(argument)
            continue
        given = value if joined else next(rest, None)
        name = flag.removeprefix(_PREFIX).replace("-", "_")
        found += ["--condition", name if given is None else f"{name}={given}"]
    return found
