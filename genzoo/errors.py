"""The errors of genzoo; each says what was wrong, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from genzoo.text_safety import visible


class GenzooError(Exception):
    """Base class of all errors of genzoo.

    Its message may quote untrusted text; hidden characters are made visible.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


class UnknownNameError(GenzooError):
    """No class is registered under a name."""

    def __init__(self, what: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        given = name if len(name) <= 200 else f"{name[:199]}…"
        super().__init__(f"Unknown {what} {given!r}. {suggest(name, known)} {remedy}".rstrip())


class NameConflictError(GenzooError):
    """Two installed distributions claim one name."""


class MissingDependencyError(GenzooError):
    """A plugin or a feature of the core needs a package that is not installed."""


class PluginError(GenzooError):
    """An entry point that does not name a class of its group."""


class ConfigError(GenzooError):
    """A config field that is unknown, of the wrong type, or out of bounds."""


class DataError(GenzooError):
    """Data with the wrong space, shape or range, or that cannot be read."""


class ConditionError(GenzooError):
    """A condition that is missing, superfluous or invalid."""


class CapabilityError(GenzooError):
    """A model lacks a capability that a call needs."""


class LoadError(GenzooError):
    """A model folder that is refused; base class of all refusals."""


class ConfigFileError(LoadError):
    """A `config.json` that is missing or malformed, or from which no model can be built."""


class WeightsError(LoadError):
    """Weights that are missing, truncated or not finite, or do not fit their config."""


class DiskFullError(GenzooError):
    """No space is left on the disk; the previous content is unchanged."""


class HubError(GenzooError):
    """A request to a Hub that failed; base class of such errors."""


class HubAccessError(HubError):
    """The token is wrong, missing or has no permission; or the repository is gated."""


class HubMissingError(HubError):
    """The repository, revision or file does not exist or is private: a Hub does not tell which."""


class HubNetworkError(HubError):
    """The Hub could not be reached, closed the connection or was too busy, also after retries."""


class HubOfflineError(HubError):
    """A file is not in the cache, and requests are disabled."""


class HubIntegrityError(HubError, LoadError):
    """A file differs from what the Hub states, also after it was fetched again."""


class HubSpaceError(HubError, DiskFullError):
    """No space is left for a download."""


class HubConflictError(HubError):
    """Somebody else pushed in the meantime; nothing was overwritten."""


class VerificationError(GenzooError):
    """Figures of a card that are wrong or cannot be verified."""


class OutputExistsError(GenzooError):
    """An output folder whose content would be overwritten."""


class RunningError(GenzooError):
    """A run folder in which another run is training."""


class CheckpointError(GenzooError):
    """A checkpoint that cannot be used, or resuming that would not be bit-exact."""


class TrainingError(GenzooError):
    """A training run that cannot continue."""


class ProcessLostError(TrainingError):
    """Another process of the group has ended or cannot be reached."""


class NotFiniteError(TrainingError):
    """A loss or gradient that is not finite; raised before the update."""


class NotFiniteSampleError(GenzooError):
    """A sample or a state of its trajectory contains NaN or infinity; names the module."""


class NotFiniteWeightsError(GenzooError):
    """Weights of a model that contain NaN or infinity, or overflow."""


class NotFiniteFigureError(GenzooError):
    """A figure that is NaN or infinite, although rows and weights are finite."""


class TrainingInterrupted(GenzooError):
    """Ctrl-C or SIGTERM arrived; the run was saved and stopped.

    Attributes:
        signum: The signal's number.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the sentence, because the user has asked for the stop."""
        return [str(self)]


def counted(num: int, noun: str) -> str:
    """Return a number with a noun.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{num} {noun}" if num == 1 else f"{num} {noun}s"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with names similar to ``name``, and all known ones.

    >>> suggest("rbn", ["rbm", "vae"])
    "Did you mean 'rbm'? Known: rbm, vae."
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    question = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{question}Known: {', '.join(known) or 'none'}."
