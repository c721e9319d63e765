"""Requests to a Hub, with retries."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from genzoo.errors import HubNetworkError
from genzoo.hub.errors import BUSY, TRANSPORTS, is_offline, reason_of, status_of, translated

T = TypeVar("T")

DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each retry; if a Hub names a time, it is used, up to a minute."""
MAX_DELAY = 60.0
_SECONDS = re.compile(r"[0-9]{1,9}")
_UNREACHABLE = ("ConnectError", "UnsupportedProtocol")

log = logging.getLogger(__name__)


def ask(what: str, call: Callable[[], T]) -> T:
    """Return the result of ``call``, with retries while the Hub is busy or closes the connection.

    Each retry is logged with its reason. Retries of the client itself are not counted.

    Arguments:
        what: The subject, for messages: "ada/vae-digits" or "model.safetensors of it".
        call: The request of huggingface_hub.

    Raises:
        HubError: It failed; the subclass and the message say why, and what to do.
        GenzooError: The cache cannot be written.
    """
    for delay in (*DELAYS, None):
        try:
            return call()
        # The client raises errors of libraries that depend on its version, so they cannot be named
        # here. Other errors are raised again unchanged.
        except Exception as error:
            if delay is None or not _can_help(error):
                known = translated(error, what)
                if known is error:
                    raise
                raise known from error
            wait = min(_named_delay(error) or delay, MAX_DELAY)
            log.warning("%s: %s. Trying again in %g s.", what, reason_of(error), wait)
            time.sleep(wait)
    raise HubNetworkError(f"{what}: no answer.")  # pragma: no cover, the last try raises


def _can_help(error: Exception) -> bool:
    """Whether a retry may help: for a busy or broken Hub, or a closed connection."""
    if is_offline() or isinstance(error, FileNotFoundError):
        return False
    status = status_of(error)
    if status is not None:
        return status in BUSY
    library = type(error).__module__.partition(".")[0]
    return library in TRANSPORTS and type(error).__name__ not in _UNREACHABLE


def _named_delay(error: Exception) -> float:
    """Return the seconds that a Hub names; 0 if it names none, or not in plain digits."""
    response: Any = getattr(error, "response", None)
    text = response.headers.get("Retry-After", "") if response is not None else ""
    return float(text) if _SECONDS.fullmatch(text) else 0.0
