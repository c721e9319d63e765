"""The report of a run: one HTML file that needs nothing else, made of what its folder holds.

The page holds no script and asks nobody for anything, which its Content-Security-Policy has the
browser enforce. Whatever a folder says (names, notes, configs, cards) is shown as text; pictures
are decoded and written anew, so that pixels are all that is taken over from them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from genzoo.errors import ConfigError
from genzoo.files import atomic_file, write_text
from genzoo.model_files import REPORT
from genzoo.report.contents import read_report
from genzoo.report.page import render

__all__ = ["write_report"]

_SUFFIXES = (".html", ".htm")


def write_report(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    evaluations: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Write the report of a training run, finished or not, or of a model folder.

    Arguments:
        folder: The folder of the run.
        output: The file that is written, or replaced; ``report.html`` in the folder where None.
        evaluations: Files that ``genzoo evaluate --json`` wrote, beside those in the folder that
            are called ``evaluation*.json``.

    Returns:
        Where the report is.

    Raises:
        ConfigError: ``output`` is no name of an HTML file.
        DataError: There is no run in the folder, or a file that ``evaluations`` names is none.
        DiskFullError: There is no space left; an earlier report is as it was.
    """
    path = Path(folder, REPORT.name) if output is None else Path(output)
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"--output must end in .html, got {str(path)!r}.")
    page = render(read_report(Path(folder), [Path(file) for file in evaluations]))
    with atomic_file(path) as temporary:
        write_text(temporary, page)
    return path
