"""Load hostile folders in a process of their own, and print as JSON what happened to each.

python hostile_run.py FOLDER NUMBER FUZZED
"""

import contextlib
import functools
import json
import shutil
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import stand_in_kernels

CALLS = stand_in_kernels.install()  # Before anything here imports transformers.

# ruff: noqa: E402
import torch

import fuzz
import fuzz_subjects
import hostile
import hostile_cards
import hostile_encoders
import hostile_foreign
import hostile_layout
import hostile_pipelines
from folders import INDEX, WEIGHTS, saved
from genzoo import GenModel, GenzooError, registry
from genzoo.config import field_types
from genzoo.pretrained.inspecting import inspect
from watched import Watch

KINDS = (hostile, hostile_foreign, hostile_layout, hostile_pipelines)
CASES = {name: change for kind in KINDS for name, change in kind.CASES.items()}


@functools.cache
def watch() -> Watch:
    """Return the watch of this process."""
    return Watch()


def outcome(folder: Path, call: Callable[[Path], object] = GenModel.from_pretrained) -> dict:
    """Load a folder under watch; any error but one of the library's own is told by its name."""
    CALLS.clear()
    with watch().of(folder) as seen:
        try:
            call(folder)
            name = "loaded"
        except GenzooError:
            name = "refused"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            name = f"{type(error).__name__}: {error}"[:300]
    return {"outcome": name, "allowed": tensors(folder), "kernels": [*CALLS], **vars(seen)}


def tensors(folder: Path) -> int:
    """Return how many tensors the headers tell of, as JSON has it; 0 where they are none."""
    with contextlib.suppress(Exception):
        files = [WEIGHTS]
        if (folder / INDEX).is_file():
            files = sorted(set(json.loads((folder / INDEX).read_bytes())["weight_map"].values()))
        files += hostile_pipelines.PARTS.values()
        return sum(len(header(folder / name)) for name in files if (folder / name).is_file())
    return 0


def header(path: Path) -> dict:
    """Return a header as JSON has it."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(min(length, 2**24)))


def fresh(name: str, change: Callable[[Path], object], sound: str = "sound") -> Path:
    """Return a sound folder with something changed."""
    root = Path(sys.argv[1])
    folder = root / name / "model"
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(root / sound, folder)
    change(folder)
    return folder


def hand_made() -> dict:
    """Load every case; have the cards of those that loading ignores read too."""
    found = {name: outcome(fresh("case", change)) for name, change in CASES.items()}
    for name, change in hostile_cards.IGNORED.items():
        folder = fresh("case", change)
        found[f"ignored, {name}"] = outcome(folder)
        found[f"read, {name}"] = outcome(folder, lambda f: inspect(str(f)))
    return found


def encoders() -> dict:
    """Load every case of a text encoder; note whether those that load have the sound states."""
    states = {}
    for kind in fuzz_subjects.ENCODERS:
        fuzz_subjects.save_encoder(kind, Path(sys.argv[1], f"encoder-{kind}"))
        for name in ("warm", "case"):
            folder = fresh(name, lambda f: None, f"encoder-{kind}")
            states[kind] = fuzz_subjects.load_encoder(kind, folder)
    found = {}
    for name, (kind, change) in (hostile_encoders.CASES | hostile_encoders.HARMLESS).items():
        same = []

        def load(folder: Path, kind: str = kind, same: list = same) -> None:
            same.append(torch.equal(fuzz_subjects.load_encoder(kind, folder), states[kind]))

        seen = outcome(fresh("case", change, f"encoder-{kind}"), load)
        found[name] = {**seen, "same": same}
    return found


def asked_by_transformers() -> list[str]:
    """Return what the stand-in for kernels is asked where transformers loads what is refused."""
    import transformers

    CALLS.clear()
    with contextlib.suppress(Exception):
        asking = transformers.CLIPTextConfig(attn_implementation=hostile_encoders.KERNEL)
        transformers.CLIPTextModel(asking)
    return [*CALLS]


def made_up(number: int) -> dict:
    """Load what hypothesis makes up, and return what was worst."""
    import made_up as strategies

    return strategies.run(number, fresh, outcome)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # To show one, Python opens the file that it comes from.
    saved(Path(sys.argv[1], "sound"))
    # What a first load imports is imported here: of both ends, the good and the bad.
    hostile_foreign.save_sound(Path(sys.argv[1], "foreign"))
    hostile_layout.save_sound(Path(sys.argv[1], "placed"))
    hostile_pipelines.save_sound(Path(sys.argv[1], "piped"))
    # Types of fields are evaluated when a class is used first: our own texts, no stranger's.
    for name in registry.names("spaces"):
        field_types(registry.load("spaces", name))
    # The message about an unknown component reads the metadata of all groups.
    event = {"name": "binary", "config": {"shape": [4]}}
    with contextlib.suppress(GenzooError):
        registry.load("models", "vae").Config.from_dict({"event": event, "posterior": "nothing"})
    kinds = (hostile_foreign.foreign, hostile_layout.placed, hostile_pipelines.piped)
    sound = [put(lambda f: None) for put in kinds]
    known = ("header: binary", "index: a list", "description: a model that nobody knows")
    for change in (lambda f: None, *sound, *(CASES[name] for name in known)):
        outcome(fresh("warm", change))
        outcome(fresh("warm", change), lambda f: inspect(str(f)))
    for name in ("script", "an open quote"):
        outcome(fresh("warm", hostile_cards.IGNORED[f"card: {name}"]), lambda f: inspect(str(f)))
    result = {"hand-made": hand_made(), "made-up": made_up(int(sys.argv[2]))}
    result["encoders"] = encoders()
    result["asked by transformers"] = asked_by_transformers()
    result["fuzzed"] = fuzz.run(Path(sys.argv[1], "fuzz"), int(sys.argv[3]), CALLS)
    json.dump(result, sys.stdout)
