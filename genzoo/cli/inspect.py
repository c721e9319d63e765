"""genzoo inspect."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from genzoo import capabilities
from genzoo.cli.arguments import InspectArguments
from genzoo.storage import INDEX_FILE, WEIGHTS_FILE, read_description, resolve_description
from genzoo.weights import WeightFiles

_PLUGIN = ("distribution", "version")


def run(arguments: InspectArguments) -> None:
    """Print what the folder holds, without reading a weight."""
    folder = Path(arguments.folder)
    description = read_description(folder)
    files = WeightFiles(folder, WEIGHTS_FILE, INDEX_FILE)
    cls, config = resolve_description(description, folder)
    shapes = {name: (shape, dtype) for name, (_, dtype, shape) in files.headers.items()}
    num = sum(math.prod(shape) for shape, _ in shapes.values())
    size = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
    plugin = " ".join(str(description["plugin"].get(key, "")) for key in _PLUGIN)
    event_shape = tuple(config.to_dict().get("event_shape", ()))
    lines = {
        "model": description["model"],
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "plugin": plugin.strip(),
        "data": f"{' or '.join(sorted(cls.kind))}, {event_shape}",
        "capabilities": ", ".join(capabilities.of(cls)),
        "config": json.dumps(description["config"]),
        "weights": f"{num:,} values in {len(shapes)} tensors, {size / 1e6:,.2f} MB, "
        f"{description['dtype']}",
    }
    width = max(map(len, lines))
    sys.stdout.writelines(f"{name:<{width}}  {text}\n" for name, text in lines.items())
    for name, (shape, dtype) in sorted(shapes.items()):
        sys.stdout.write(f"{'':<{width}}  {name} {shape} {str(dtype).removeprefix('torch.')}\n")
