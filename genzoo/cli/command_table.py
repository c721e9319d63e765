"""What commands there are, with their fixed arguments, and in which groups."""

from __future__ import annotations

from typing import Any

from genzoo.cli import arguments, sharing_arguments

DESCRIPTION = "A zoo of deep generative models: train, sample, evaluate."

COMMANDS: dict[str, Any] = {
    "list": arguments.ListArguments,
    "train": arguments.TrainArguments,
    "sample": arguments.SampleArguments,
    "evaluate": arguments.EvaluateArguments,
    "compare": arguments.CompareArguments,
    "ema": arguments.EmaArguments,
    "explore": arguments.ExploreArguments,
    "inpaint": arguments.InpaintArguments,
    "translate": arguments.TranslateArguments,
    "inspect": arguments.InspectArguments,
    "check": arguments.CheckArguments,
    "card": sharing_arguments.CardArguments,
    "push": sharing_arguments.PushArguments,
    "pull": sharing_arguments.PullArguments,
    "publish": sharing_arguments.PublishArguments,
    "report": arguments.ReportArguments,
    "data": sharing_arguments.DataArguments,
    "new-plugin": arguments.NewPluginArguments,
    "completion": arguments.CompletionArguments,
    "quickstart": arguments.QuickstartArguments,
}
GROUPS: dict[str, tuple[str, ...]] = {
    "Begin": ("quickstart", "list", "train"),
    "Use a model": ("sample", "evaluate", "compare", "ema", "explore", "inpaint", "translate"),
    "Describe and share": ("inspect", "report", "card", "push", "pull", "publish"),
    "Handle data": ("data",),
    "Write a plugin": ("new-plugin", "check"),
    "Set up the shell": ("completion",),
}
"""The commands by what they are for."""
