"""The bar of a download in a notebook's cell."""

from __future__ import annotations

import io
from typing import Any

from genzoo.progress import place, progress_bar


def tqdm_class(name: str) -> type | None:
    """Return the class of bars for huggingface_hub: None, its own, except in a notebook.

    Its own needs widgets in a notebook, and shows nothing without them.

    Arguments:
        name: The name of the file, for the title.
    """
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled
    from tqdm import tqdm

    if place() != "notebook" or are_progress_bars_disabled():
        return None

    class CellTqdm(tqdm):  # type: ignore[misc]
        """A bar of tqdm that is a line of a cell; what tqdm itself writes is dropped."""

        def __init__(self, **options: Any) -> None:
            self._line = progress_bar(f"Downloading {name}", "byte", options.get("total"))
            super().__init__(**{**options, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> Any:
            """Advance by a number of bytes."""
            self._line.update(int(n or 0))
            return super().update(n)

        def close(self) -> None:
            """End the line."""
            self._line.close()
            super().close()

    return CellTqdm
