"""The command line: `genzoo COMMAND`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from genzoo.cli import ends, listing
from genzoo.cli.texts import LineHandler, VisibleFormatter, write
from genzoo.errors import GenzooError, ProcessLostError, TrainingInterrupted, VerificationError
from genzoo.version import __version__


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    The exit code is 0 on success, 1 if a verification failed, 2 after an error (printed on one
        line), and 128 + n after signal n.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    sys.exit(_code(args))


def _code(args: list[str]) -> int:
    """Run a command, say how it ended, and return the exit code."""
    try:
        ends.begin()
        _set_up_logging()
        return _run(args)
    except TrainingInterrupted as interrupted:
        return ends.end(str(interrupted), 128 + interrupted.signum, saved=True)
    except GenzooError as error:
        code = 1 if isinstance(error, VerificationError) else 2
        return ends.end(f"error: {error}", code, follows=isinstance(error, ProcessLostError))
    except KeyboardInterrupt:
        return ends.end("Stopped.", 128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()
        return 128 + signal.SIGPIPE
    except OSError as error:
        return ends.end(f"error: {error}. Choose another path.", 2)


def _run(args: list[str]) -> int:
    """Parse the arguments with the resolved classes' own fields, and run the command."""
    name = args[0] if args else "--help"
    if name == "--version":
        write(f"genzoo {__version__}")
        return 0
    if name == "list" and not any(arg.startswith("-") for arg in args):
        # Names alone need no parser, which takes longer to import than all else that this does.
        listing.run(listing.Listing(what=tuple(args[1:])))
        return 0
    if args[:2] == ["completion", "answer"]:
        from genzoo.cli import completion

        completion.answer(args[2:])
        return 0
    from genzoo.cli import commands

    if name in ("--help", "-h"):
        commands.show_help()
        return 0
    commands.run(name, args[1:])
    return 0


def _set_up_logging() -> None:
    logger = logging.getLogger("genzoo")
    if not logger.handlers:
        handler = LineHandler()
        handler.setFormatter(VisibleFormatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
