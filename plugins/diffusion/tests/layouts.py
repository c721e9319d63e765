"""What a stored pipeline and a loaded model are compared by."""

import torch


def files(folder):
    """Return the paths of the files in a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in paths}


def equal(first, second):
    """Whether two modules have the same tensors."""
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
