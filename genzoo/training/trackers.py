"""Trackers of experiments, by the names that Accelerate gives them."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import tracking

from genzoo.errors import ConfigError, MissingDependencyError, suggest


def check_trackers(names: Sequence[str]) -> None:
    """Raise unless every tracker is known and installed.

    Accelerate leaves out a tracker that is not installed with a warning, so its run is not
    recorded.

    Raises:
        ConfigError: Accelerate has no tracker of this name.
        MissingDependencyError: Its package is not installed.
    """
    known, installed = sorted(tracking.LOGGER_TYPE_TO_CLASS), tracking.get_available_trackers()
    for name in names:
        if name not in known:
            raise ConfigError(
                f"report_to: {name!r} is not a tracker of Accelerate. {suggest(name, known)}"
            )
        if name not in installed:
            raise MissingDependencyError(
                f"The tracker {name!r} is not installed, so it would record nothing. Install its "
                f"package (pip install {name.replace('_', '-')}), or leave "
                "it out of report_to."
            )
