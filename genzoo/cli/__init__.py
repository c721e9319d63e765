"""The command line: `genzoo COMMAND`."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from genzoo.cli import arguments
from genzoo.cli.flags import rewritten
from genzoo.cli.listing import ListArguments
from genzoo.cli.texts import VisibleFormatter, plain, write
from genzoo.cli.usage_errors import usage_error
from genzoo.errors import (
    ConfigError,
    GenzooError,
    TrainingInterrupted,
    UnknownNameError,
    VerificationError,
)
from genzoo.version import __version__

DESCRIPTION = "A zoo of deep generative models: train, sample, evaluate."

COMMANDS: dict[str, Any] = {
    "list": ListArguments,
    "train": arguments.TrainArguments,
    "sample": arguments.SampleArguments,
    "evaluate": arguments.EvaluateArguments,
    "explore": arguments.ExploreArguments,
    "translate": arguments.TranslateArguments,
    "inspect": arguments.InspectArguments,
    "check": arguments.CheckArguments,
    "card": arguments.CardArguments,
    "push": arguments.PushArguments,
    "pull": arguments.PullArguments,
    "publish": arguments.PublishArguments,
    "report": arguments.ReportArguments,
    "new-plugin": arguments.NewPluginArguments,
    "quickstart": arguments.QuickstartArguments,
}
_MODULES = {name: name for name in COMMANDS} | {"list": "listing", "new-plugin": "new_plugin"}
_RESOLVED = ("train", "sample", "evaluate", "explore", "translate", "card")


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, and exit.

    0: done. 1: a verification failed. 2: an error, in one line. 128 + n: left by signal n.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    _set_up_logging()
    try:
        sys.exit(_run(args))
    except TrainingInterrupted as interrupted:
        _say(str(interrupted))
        sys.exit(128 + interrupted.signum)
    except VerificationError as error:
        _say(f"error: {error}")
        sys.exit(1)
    except GenzooError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        _say(f"error: {error}. Choose another path.")
        sys.exit(2)


def _run(args: list[str]) -> int:
    """Parse the arguments with the resolved classes' own fields, and run the command."""
    name = args[0] if args else "--help"
    if name == "--version":
        write(f"genzoo {__version__}")
        return 0
    if name in ("--help", "-h"):
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="genzoo", description=DESCRIPTION, args=["--help"]
        )
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS, "See genzoo --help.")
    parsed = _parse(name, rewritten(args[1:]))
    importlib.import_module(f"genzoo.cli.{_MODULES[name]}").run(parsed)
    return 0


def _parse(name: str, args: list[str]) -> Any:
    """Return a command's arguments, or say in one line what is wrong with them."""
    peeked, said = _peeked(name, args), io.StringIO()
    found = resolved(name, peeked)
    # A config's field that is another config or nothing is a recipe's, not a subcommand.
    config = (tyro.conf.AvoidSubcommands,)
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(found, prog=f"genzoo {name}", args=args, config=config)
    except SystemExit as left:
        if left.code:
            error = usage_error(args, found, name, peeked)
            raise ConfigError(error or said.getvalue()) from left
        raise


def _peeked(name: str, args: list[str]) -> arguments.Peeked:
    """Return what a command's arguments name; nothing where no flag follows from that."""
    if name not in _RESOLVED:
        return arguments.Peeked()
    from genzoo.cli.peeking import peek

    return peek(args, COMMANDS[name])


def resolved(name: str, peeked: arguments.Peeked) -> Any:
    """Return the arguments of a command with the fields of the classes that it names."""
    if peeked.positional:
        return importlib.import_module(f"genzoo.cli.{_MODULES[name]}").arguments_for(peeked)
    return COMMANDS[name]


def _say(text: str) -> None:
    sys.stderr.write(f"{plain(text)}\n")


def _set_up_logging() -> None:
    logger = logging.getLogger("genzoo")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(VisibleFormatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
