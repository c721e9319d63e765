"""Models on the Hub of the tests."""

from pathlib import Path

import torch

from folders import machine, saved
from genzoo.hub.source import source_of
from genzoo.storage import open_model

REPOSITORY = "ada/tiny"
WEIGHTS = "model.safetensors"


def contents(folder):
    """Return the files of a folder, as bytes by name."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def put(hub, folder, repository=REPOSITORY, **options):
    """Put a folder onto the Hub as somebody else's push would; return the commit."""
    return hub.put(repository, contents(folder), **options)


def put_machine(hub, tmp_path, repository=REPOSITORY, model=None, **options):
    """Put a small machine onto the Hub; return the machine and the commit."""
    model = model or machine()
    folder = saved(tmp_path / f"pushed-{len(hub.requests)}-{repository.replace('/', '-')}", model)
    return model, put(hub, folder, repository, **options)


def fetched(revision=None):
    """Fetch the model that it holds; return its folder in the cache."""
    with source_of(REPOSITORY, revision=revision) as files:
        open_model(files).fetch()
        return files.folder


def same(first, second):
    """Whether two models have the same weights, bit for bit."""
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def asked(hub, *, method="", path=""):
    """Return the requests whose method and path contain what is given."""
    return [r for r in hub.requests if method in r.method and path in r.path]
