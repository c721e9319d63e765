"""genzoo report."""

from __future__ import annotations

import sys

from genzoo.cli.arguments import ReportArguments
from genzoo.report import write_report


def run(arguments: ReportArguments) -> None:
    """Write the report of a run."""
    path = write_report(arguments.folder, arguments.output, arguments.evaluation)
    sys.stdout.write(f"The report is {path}. A browser opens it; it needs nothing else.\n")
