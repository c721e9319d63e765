"""Output in a notebook's cell: HTML, text and pictures that are updated in place.

Neither widgets nor ``clear_output`` are used. Widgets need a package in the front end, and are not
in exported notebooks. Clearing a cell makes it flicker, and removes what else was written there.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import logging
import os
import sys
import uuid
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger("genzoo")


def shell() -> Any:
    """Return the shell of the notebook whose kernel this process is, or None.

    IPython is not imported: in a kernel it is there.
    """
    find = getattr(sys.modules.get("IPython"), "get_ipython", None)
    found = find() if find is not None else None
    kernel = getattr(found, "kernel", None)
    # A forked process has the shell of its parent, but cannot use its sockets.
    pid = getattr(getattr(kernel, "session", None), "pid", os.getpid())
    return found if kernel is not None and pid == os.getpid() else None


def import_tqdm_silently() -> None:
    """Import ``tqdm.auto`` without its warning, if this process is the kernel of a notebook.

    Libraries that genzoo uses import it, and without ipywidgets it warns in the middle of a cell.
    """
    if shell() is not None:
        with warnings.catch_warnings(), contextlib.suppress(ImportError):
            warnings.simplefilter("ignore")
            importlib.import_module("tqdm.auto")


class Output:
    """One output of the cell that runs, which later calls replace in place."""

    def __init__(self) -> None:
        self._id = ""
        self._is_lost = False

    def show(self, data: Mapping[str, str]) -> None:
        """Show data by their media types; a front end takes the richest type that it knows."""
        from IPython.display import display, update_display

        if self._is_lost:
            return
        try:
            if self._id:
                update_display(dict(data), display_id=self._id, raw=True)
            else:
                # Unique also after the kernel was restarted; it draws from no generator.
                self._id = uuid.uuid4().hex
                display(dict(data), display_id=self._id, raw=True)
        except Exception:  # What looks on must not end what it shows: the front end may be gone.
            self._is_lost = True
            logger.debug("The cell's output is lost.", exc_info=True)


def picture_data(picture: Image.Image, text: str) -> dict[str, str]:
    """Return a picture as data of an `Output`, with a text for front ends without pictures."""
    return {"image/png": base64_png(picture), "text/plain": text}


def base64_png(picture: Image.Image) -> str:
    """Return a picture as PNG in base64."""
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
