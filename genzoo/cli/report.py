"""genzoo report."""

from __future__ import annotations

from pathlib import Path

from genzoo.cli.arguments import ReportArguments
from genzoo.cli.folders import folder_of
from genzoo.cli.texts import write
from genzoo.hub import names_repository
from genzoo.model_files import REPORT
from genzoo.report import write_report


def run(arguments: ReportArguments) -> None:
    """Write the report of a run."""
    folder = folder_of(arguments.folder, arguments.revision)
    output = arguments.output
    if output is None and names_repository(arguments.folder):
        output = Path(REPORT.name)
    path = write_report(folder, output, arguments.evaluation)
    write(f"The report is {path}. Open it in a browser; it needs no other files.")
