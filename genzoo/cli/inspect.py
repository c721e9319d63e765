"""genzoo inspect."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

from genzoo import capabilities, plugin_hints, registry
from genzoo.cli.arguments import InspectArguments
from genzoo.cli.texts import write
from genzoo.cli.views import views_of
from genzoo.config import abridged
from genzoo.errors import ConfigFileError, UnknownNameError
from genzoo.pretrained.inspecting import Inspected, inspect
from genzoo.text_safety import one_line


def run(arguments: InspectArguments) -> None:
    """Describe a model without reading or fetching weights."""
    found = inspect(arguments.folder, arguments.revision)
    lines = {**_model(found, arguments.folder), **_weights(found), **_card(found)}
    if found.commit:
        lines["commit"] = found.commit
    width = max(map(len, lines))
    tensors = [
        ("", f"{name} {shape} {str(dtype).removeprefix('torch.')}")
        for name, (_, dtype, shape) in sorted(found.weights.headers.items())
    ]
    for name, text in [*lines.items(), *tensors]:
        write(f"{name:<{width}}  {one_line(text)}")


def _model(found: Inspected, folder: str) -> dict[str, str]:
    """Return the content of the config, and the class if its plugin is installed."""
    description = found.description
    name, plugin = description["model"], description["plugin"]
    lines = {"model": name, "config": json.dumps(abridged(description["config"]))}
    stated = f"{plugin['distribution']} {plugin['version']}".strip() or "none"
    if name not in registry.names("models"):
        return lines | {
            "plugin": f"not installed (the config says {stated!r})",
            "remedy": plugin_hints.advice_for(name),
        }
    distribution, version = registry.distribution_of("models", name)
    plugin_line = f"{stated}; installed: {distribution} {version}".strip()
    try:
        cls, made = found.opened.resolved
    except ConfigFileError as error:
        # A package of a space or of a nested model is missing: the rest can be told.
        if not isinstance(error.__cause__, UnknownNameError):
            raise
        return lines | {"plugin": plugin_line, "remedy": str(error.__cause__)}
    config: Any = made
    given = {name: space.describe() for name, space in getattr(config, "conditions", {}).items()}
    told = {"given": "; ".join(f"{name}: {words}" for name, words in given.items())}
    return lines | {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "plugin": plugin_line,
        "data": config.event.describe(),
        **(told if given else {}),
        "capabilities": ", ".join(capabilities.of(cls)),
        **_pictures(cls, folder),
    }


def _pictures(cls: type, folder: str) -> dict[str, str]:
    """Return the commands that draw what a model learned, if it has views."""
    views = " | ".join(views_of(cls))
    command = f"genzoo explore {shlex.quote(folder)} --view {views} --output FILE.png"
    return {"pictures": command} if views else {}


def _weights(found: Inspected) -> dict[str, str]:
    headers = found.weights.headers
    num = sum(math.prod(shape) for _, _, shape in headers.values())
    size, dtype = found.weights.num_bytes() / 1e6, found.description["dtype"]
    return {"weights": f"{num:,} values in {len(headers)} tensors, {size:,.2f} MB, {dtype}"}


def _card(found: Inspected) -> dict[str, str]:
    """Return the licence and the figures that the card states; they are not verified."""
    lines = {"licence": found.licence or "none stated"}
    figures = [_figure(figure) for figure in found.figures]
    return lines | {"figures": "; ".join(figures) or "none stated"}


def _figure(figure: Any) -> str:
    unit, data = figure.facts.get("unit", ""), figure.provenance.get("data", "")
    return " ".join(f"{figure.name} {figure.shown_value} {unit} on {data}".split())[:200]
