"""The client's errors, mapped to six situations, each with its own class and remedy.

The client raises errors of five libraries; the situation decides what a user can do.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator
from json import JSONDecodeError

from genzoo.errors import (
    GenzooError,
    HubAccessError,
    HubConflictError,
    HubError,
    HubIntegrityError,
    HubMissingError,
    HubNetworkError,
    HubOfflineError,
    HubSpaceError,
)

TRANSPORTS = ("httpx2", "httpx", "httpcore2", "httpcore", "requests")
"""The HTTP libraries of the client's versions."""
BUSY = (408, 429, 500, 502, 503, 504)
"""The HTTP status codes of a Hub that is out of order or too busy."""
_DENIED = (401, 402, 403)
_CONFLICT = (409, 412)
_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")


def translated(error: Exception, what: str) -> Exception:
    """Map an error of the client to one of genzoo with its remedy; return others unchanged."""
    from huggingface_hub import errors as hub

    if isinstance(error, GenzooError):
        return error
    absent = (hub.OfflineModeIsEnabled, hub.LocalEntryNotFoundError)
    if is_offline() and _any(error, lambda e: isinstance(e, absent)):
        return HubOfflineError(
            f"{what} is not in the cache, and requests are disabled (offline: "
            "HF_HUB_OFFLINE is set). Unset it, or choose a cached model: hf cache list."
        )
    if _any(error, _is_full):
        return HubSpaceError(
            f"{what}: no space left on the disk of the cache. Free some (hf cache rm), or move "
            "the cache with HF_HUB_CACHE."
        )
    if _any(error, lambda e: isinstance(e, ConnectionError) and "xet" in str(e)):
        return HubNetworkError(
            f"{what}: the client asked this Hub for Xet storage, which it does not have. Set "
            "HF_HUB_DISABLE_XET=1 and try again."
        )
    for cause in _causes(error):
        for translate in (_by_class, _by_status, _by_transport):
            if (found := translate(cause, what)) is not None:
                return found
    return _other(error, what)


def _by_class(error: BaseException, what: str) -> HubError | None:
    from huggingface_hub import errors as hub

    log_in = "log in (hf auth login) or set HF_TOKEN."
    known: dict[type, HubError] = {  # The first that fits: some are subclasses of others.
        hub.GatedRepoError: HubAccessError(
            f"{what} is gated: its authors decide on access. Request it on its page, then {log_in}"
        ),
        hub.LocalTokenNotFoundError: HubAccessError(
            f"{what}: there is no token. Log in (hf auth login) or set HF_TOKEN."
        ),
        hub.RevisionNotFoundError: HubMissingError(
            f"{what}: there is no such revision. Check the name of the branch, tag or commit."
        ),
        hub.RemoteEntryNotFoundError: HubMissingError(
            f"{what} does not exist. Check the files of the repository."
        ),
        hub.RepositoryNotFoundError: HubMissingError(
            f"{what}: there is no such repository, or it is private: a Hub does not tell which. "
            f"Check the name; if it is private, {log_in} A folder with this name does not exist "
            "here either."
        ),
    }
    return next((found for kind, found in known.items() if isinstance(error, kind)), None)


def _by_status(error: BaseException, what: str) -> HubError | None:
    status = status_of(error)
    if status in _DENIED:
        return HubAccessError(
            f"{what}: the Hub refused the request ({status}: {_said(error)}). Check the "
            "token and its rights: hf auth whoami, hf auth login, or HF_TOKEN."
        )
    if status in _CONFLICT:
        return HubConflictError(
            f"{what}: somebody else pushed in the meantime ({status}). Nothing was "
            "overwritten: look at the new commit, then push again."
        )
    if status in BUSY:
        return HubNetworkError(
            f"{what}: the Hub is out of order or too busy ({status}, also after retries). Try "
            "later; files that were fetched or stored are kept."
        )
    if status is not None and status != 404:
        return HubError(f"{what}: the Hub answered {status}: {_said(error)}")
    return None


def _by_transport(error: BaseException, what: str) -> HubError | None:
    library = type(error).__module__.partition(".")[0]
    if library in TRANSPORTS or isinstance(error, (ConnectionError, TimeoutError)):
        if status_of(error) is not None:
            return None
        return HubNetworkError(
            f"{what}: the Hub cannot be reached or closed the connection ({reason_of(error)}). "
            "Check the network; on a slow one raise HF_HUB_DOWNLOAD_TIMEOUT (seconds)."
        )
    return None


def _other(error: Exception, what: str) -> Exception:
    """Return an error outside of the six situations: a read-only disk, or a bug."""
    from huggingface_hub import errors as hub

    first = str(error).partition("\n")[0]
    if "onsistency check" in first:
        return HubIntegrityError(f"{what} was truncated in transit: {first} Try again.")
    if isinstance(error, hub.LocalEntryNotFoundError):
        return HubNetworkError(f"{what} is neither on the Hub nor in the cache: {first}")
    if isinstance(error, hub.HfHubHTTPError) and status_of(error) == 404:
        return HubMissingError(f"{what} does not exist (404). Check the name.")
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return GenzooError(
            f"{what}: {error.filename} cannot be written ({error.strerror}). Move the cache to a "
            "writable folder with HF_HUB_CACHE."
        )
    if isinstance(error, (ValueError, RuntimeError)) and not _is_of_parsing(error):
        return HubError(f"{what}: {first}")
    if not isinstance(error, OSError) and _is_the_clients(error):
        return HubError(
            f"{what}: the Hub's answer is not what its client expects ({type(error).__name__}: "
            f"{first}). Check HF_ENDPOINT; if it is right, try later."
        )
    return error


def _is_of_parsing(error: Exception) -> bool:
    """Whether the error is of parsing a number, JSON or Unicode, which names no location."""
    kinds = (JSONDecodeError, UnicodeError, RecursionError)
    return isinstance(error, kinds) or "invalid literal" in str(error)


def _is_the_clients(error: Exception) -> bool:
    """Whether an error was raised inside the client, because of an unexpected answer."""
    frames = traceback.walk_tb(error.__traceback__)
    names = (str(frame.f_globals.get("__name__", "")) for frame, _ in frames)
    return any(name.partition(".")[0] in ("huggingface_hub", *TRANSPORTS) for name in names)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error's answer, or None."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def reason_of(error: BaseException) -> str:
    """Return the message of an error on one short line."""
    status = status_of(error)
    if status is not None:
        return f"the Hub answered {status}"
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _said(error: BaseException) -> str:
    said = getattr(error, "server_message", None) or str(error)
    return " ".join(str(said).split())[:200]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, because the client reports a refusal as a missing file."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def _any(error: BaseException, holds: Callable[[BaseException], bool]) -> bool:
    return any(map(holds, _causes(error)))


def _is_full(error: BaseException) -> bool:
    number = getattr(error, "errno", None)
    return number in (errno.ENOSPC, errno.EDQUOT) or any(text in str(error) for text in _FULL)


def is_offline() -> bool:
    """Whether requests are disabled by HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
