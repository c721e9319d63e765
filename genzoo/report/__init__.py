"""The report of a run: one self-contained HTML file, made from the run's folder.

The page has no script and makes no requests, which its Content-Security-Policy enforces. Values
from the folder (names, notes, configs, cards) are escaped. Pictures are decoded and encoded again,
so only their pixels are used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from genzoo.errors import ConfigError
from genzoo.files import replace_text
from genzoo.model_files import REPORT
from genzoo.report.contents import Report, read_report
from genzoo.text_safety import visible

_SUFFIXES = (".html", ".htm")


def write_report(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    evaluations: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Write the report of a training run, finished or not, or of a model folder.

    Arguments:
        folder: The folder of the run.
        output: The file to write or replace; ``report.html`` in the folder if None.
        evaluations: Files of ``genzoo evaluate --json``, in addition to ``evaluation*.json`` in
            the folder.

    Returns:
        The path of the report.

    Raises:
        ConfigError: ``output`` is not the name of an HTML file.
        DataError: There is no run in the folder, or a file of ``evaluations`` is not an
            evaluation.
        DiskFullError: No space is left; an earlier report is unchanged.
    """
    path = Path(folder, REPORT.name) if output is None else Path(output)
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"--output must end in .html, got {str(path)!r}.")
    replace_text(path, render(read_report(Path(folder), [Path(file) for file in evaluations])))
    return path


def render(report: Report) -> str:
    """Return the HTML of a report."""
    text = resources.files("genzoo.report").joinpath("page.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True,
        finalize=lambda v: v if v is None or isinstance(v, Markup) else visible(v),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(text).render(report=report)
