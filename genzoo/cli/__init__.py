"""The command line: `genzoo COMMAND`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from genzoo.cli import arguments
from genzoo.cli.listing import ListArguments
from genzoo.errors import GenzooError, TrainingInterrupted

DESCRIPTION = "A zoo of deep generative models: train, sample, evaluate."

_PLAIN: dict[str, Any] = {
    "list": ListArguments,
    "train": arguments.TrainArguments,
    "sample": arguments.SampleArguments,
    "evaluate": arguments.EvaluateArguments,
    "inspect": arguments.InspectArguments,
    "quickstart": arguments.QuickstartArguments,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, and exit: 0 done, 2 an error in one line, 128 + n left by signal n."""
    args = list(sys.argv[1:] if argv is None else argv)
    _set_up_logging()
    try:
        sys.exit(_run(args))
    except TrainingInterrupted as interrupted:
        _say(str(interrupted))
        sys.exit(128 + interrupted.signum)
    except GenzooError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(128 + signal.SIGPIPE)


def _run(args: list[str]) -> int:
    """Parse the arguments with the resolved classes' own fields, and run the command."""
    commands = dict(_PLAIN)
    name = args[0] if args else ""
    if name in ("train", "sample"):
        commands[name] = _resolved(name, args[1:])
    parsed = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="genzoo",
        description=DESCRIPTION,
        args=args,
    )
    return _command(name)(parsed) or 0


def _resolved(name: str, args: list[str]) -> Any:
    """Return the arguments of a command with the fields of the classes that it names."""
    peeked = arguments.peek(args)
    if name == "train" and peeked.positional and not peeked.flags.get("recipe"):
        from genzoo.cli.train import arguments_for

        return arguments_for(peeked)
    if name == "sample" and (peeked.positional or peeked.flags.get("sampler")):
        from genzoo.cli.sample import arguments_for as sample_arguments_for

        return sample_arguments_for(peeked)
    return _PLAIN[name]


def _command(name: str) -> Callable[[Any], int | None]:
    """Return the function that runs a command; only what it needs is imported."""
    if name == "list":
        from genzoo.cli.listing import run as run_list

        return run_list
    if name == "train":
        from genzoo.cli.train import run as run_train

        return run_train
    if name == "sample":
        from genzoo.cli.sample import run as run_sample

        return run_sample
    if name == "evaluate":
        from genzoo.cli.evaluate import run as run_evaluate

        return run_evaluate
    if name == "inspect":
        from genzoo.cli.inspect import run as run_inspect

        return run_inspect
    from genzoo.cli.quickstart import run as run_quickstart

    return run_quickstart


def _say(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")


def _set_up_logging() -> None:
    logger = logging.getLogger("genzoo")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
