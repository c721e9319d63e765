"""Headers of remote weights, read before tensors are fetched."""

from __future__ import annotations

import io

from genzoo.errors import HubError, WeightsError
from genzoo.hub.fetching import Snapshot
from genzoo.hub.retry import ask
from genzoo.weights import MAX_HEADER_BYTES, Header, parse_header

_FIRST = 2**16
"""The bytes of the first request, which contain the header of most files."""
_SENT = (200, 206)
"""The status codes of an answer with a file, or a part of it."""


def remote_header(snapshot: Snapshot, name: str) -> Header:
    """Return the header of a weight file, with one or two requests for its first bytes.

    A malformed header is requested once more, because it may have been damaged in transit.

    Raises:
        HubError: It is not available.
        WeightsError: It is malformed, or does not fit the file's size.
    """
    try:
        return _header(snapshot, name)
    except WeightsError:
        return _header(snapshot, name)


def _header(snapshot: Snapshot, name: str) -> Header:
    size, where = snapshot.files[name].size, f"{name} of {snapshot.reference}"
    first = _first_bytes(snapshot, name, min(_FIRST, size))
    length = 8 + int.from_bytes(first[:8], "little")
    if len(first) < length <= min(8 + MAX_HEADER_BYTES, size):
        first = _first_bytes(snapshot, name, length)
    return parse_header(io.BytesIO(first), size, where)


def _first_bytes(snapshot: Snapshot, name: str, count: int) -> bytes:
    """Return the first bytes of a file; no more are read, even if a Hub sends the whole file."""
    from huggingface_hub import get_session, hf_hub_url

    # Documented, but not marked as exported for type checkers.
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    reference = snapshot.reference
    url = hf_hub_url(reference.repository, reference.inside(name), revision=snapshot.sha)
    headers = build_hf_headers(token=snapshot.token)
    headers |= {"Range": f"bytes=0-{count - 1}", "Accept-Encoding": "identity"}

    def fetch() -> bytes:
        found = bytearray()
        with get_session().stream("GET", url, headers=headers, follow_redirects=True) as response:
            hf_raise_for_status(response)
            if response.status_code not in _SENT:
                raise HubError(
                    f"The Hub answered {response.status_code} for {name} of {reference}, and does "
                    "not state its location. Check HF_ENDPOINT; if it is right, try later."
                )
            for piece in response.iter_bytes():
                found += piece[: count - len(found)]
                if len(found) == count:
                    break
        return bytes(found)

    return ask(f"the first bytes of {name} of {reference}", fetch)
