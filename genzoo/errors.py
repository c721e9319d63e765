"""Every error that genzoo raises on purpose: what was wrong, the value, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from genzoo.text_safety import visible


class GenzooError(Exception):
    """The base of every error that genzoo raises on purpose.

    Its message may quote what a stranger wrote: it is shown with nothing hidden in it.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


class UnknownNameError(GenzooError):
    """A name that nothing is registered under."""

    def __init__(self, what: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        super().__init__(f"Unknown {what} {name!r}. {suggest(name, known)} {remedy}".rstrip())


class NameConflictError(GenzooError):
    """Two installed distributions claim one name."""


class MissingDependencyError(GenzooError):
    """A plugin, or a feature of the core, needs a package that is not installed."""


class PluginError(GenzooError):
    """An entry point that does not hold what its group promises."""


class ConfigError(GenzooError):
    """A config value that is misspelt, of the wrong type, or out of range."""


class DataError(GenzooError):
    """Data of the wrong kind, shape or range, or that cannot be read."""


class ConditionError(GenzooError):
    """A condition that the model does not take, lacks, or cannot understand."""


class CapabilityError(GenzooError):
    """Something was asked of a model that its capabilities do not cover."""


class LoadError(GenzooError):
    """A model folder that is refused; the base of every refusal."""


class ConfigFileError(LoadError):
    """A `config.json` that is missing, malformed, or describes no model we can build."""


class WeightsError(LoadError):
    """Weights that are missing, truncated, not finite, or that do not fit their config."""


class DiskFullError(GenzooError):
    """Nothing more could be written; what was there before is untouched."""


class HubError(GenzooError):
    """Something that was asked of a Hub and did not happen; the base of every such error."""


class HubAccessError(HubError):
    """The token is wrong, missing or lacks the right; or the repository is gated."""


class HubMissingError(HubError):
    """No such repository, revision or file; or it is private: a Hub does not tell which."""


class HubNetworkError(HubError):
    """The Hub could not be reached, broke off, or was too busy, also when asked again."""


class HubOfflineError(HubError):
    """What is asked for is not in the cache, and requests are switched off."""


class HubIntegrityError(HubError, LoadError):
    """A file that is not what the Hub states, also when fetched again."""


class HubSpaceError(HubError, DiskFullError):
    """There is no space left for what would be fetched."""


class HubConflictError(HubError):
    """Somebody else has pushed in the meantime; nothing was overwritten."""


class VerificationError(GenzooError):
    """Figures of a card that do not hold, or cannot be verified."""


class OutputExistsError(GenzooError):
    """An output folder that already holds something which would be overwritten."""


class RunningError(GenzooError):
    """A run folder in which another run is training."""


class CheckpointError(GenzooError):
    """A training checkpoint that cannot be used, or a resume that would not be identical."""


class TrainingError(GenzooError):
    """A training run that cannot go on."""


class NotFiniteError(TrainingError):
    """A loss or gradient that is not finite; raised before the update that it would cause."""


class NotFiniteSampleError(GenzooError):
    """A sample, or a state on the way to it, that holds NaN or infinity; names the module."""


class NotFiniteWeightsError(GenzooError):
    """Weights that hold NaN or infinity, or overflow, of a model that is asked for something."""


class NotFiniteFigureError(GenzooError):
    """A figure that is NaN or infinite although rows and weights are finite."""


class TrainingInterrupted(GenzooError):
    """Ctrl-C or SIGTERM arrived; the run was saved and left.

    Attributes:
        signum: The signal's number.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


def suggest(name: str, known: Iterable[str]) -> str:
    """Return one sentence that names the near names of ``name``, or all that are known.

    >>> suggest("rbn", ["rbm", "vae"])
    "Did you mean 'rbm'? Known: rbm, vae."
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    question = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{question}Known: {', '.join(known) or 'none'}."
