"""Published components that a model uses but does not store, such as a text encoder.

A config names one by repository, commit and the hash of its weights, so it can never change
unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genzoo.config import Config
from genzoo.errors import ConfigError, WeightsError
from genzoo.files import sha256_of
from genzoo.hub.fetching import Snapshot
from genzoo.hub.reference import MAIN, Reference
from genzoo.model_files import MAX_LAYOUT_BYTES, WEIGHTS as WEIGHTS_FILE

WEIGHTS = WEIGHTS_FILE.name
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class HubComponent(Config):
    """A component of another repository, as a field of a model's config.

    Raises:
        ConfigError: The repository is not ``user/name``, or the commit or the hash is not
            complete.
    """

    repo: str
    """The repository, user/name."""
    commit: str
    """The full commit, 40 hexadecimal digits."""
    sha256: str
    """The hash of its model.safetensors, 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not Reference(self.repo, self.commit).is_pinned:
            raise ConfigError(
                f"HubComponent: {self.commit!r} is not a full commit. A branch may move: "
                f"HubComponent.pinned({self.repo!r}) finds the commit that it is now."
            )
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(
                f"HubComponent: {self.sha256!r} is not a SHA-256 of 64 hexadecimal digits."
            )

    @classmethod
    def pinned(
        cls, repo: str, *, revision: str | None = None, token: str | bool | None = None
    ) -> HubComponent:
        """Return the component that a repository's branch or tag is now, with one request.

        Raises:
            HubError: It is not available.
            WeightsError: It has no single model.safetensors that is stored as a large file.
        """
        snapshot = Snapshot(Reference(repo, revision or MAIN), token=token)
        stated = snapshot.files.get(WEIGHTS)
        if stated is None:
            raise WeightsError(
                f"{repo} has no single file {WEIGHTS}. Only safetensors are loaded: choose a "
                "repository, or a pull request's revision of it, that has them."
            )
        sha256 = stated.sha256 or sha256_of(snapshot.file(WEIGHTS))
        return cls(repo=repo, commit=snapshot.sha, sha256=sha256)

    def folder(self, files: Sequence[str]) -> Path:
        """Return the folder of the cache with the weights and ``files``, fetched if necessary.

        Each file is compared with the Hub's checksum for the commit, and the weights also with the
        hash in the config.

        Arguments:
            files: The names of other files that are needed.

        Raises:
            HubError: A file is not available.
            WeightsError: The weights do not have the hash in the config.
        """
        with Snapshot(Reference(self.repo, self.commit)) as snapshot:
            for name in files:
                snapshot.file(name, most=MAX_LAYOUT_BYTES)
            found = sha256_of(snapshot.file(WEIGHTS))
        if found != self.sha256:
            raise WeightsError(
                f"{WEIGHTS} of {self.repo} has the hash {found}, not {self.sha256} as the config "
                "says: the model was trained with another component."
            )
        return snapshot.folder


class FrozenModule(nn.Module):
    """A holder of a module that is used but not stored, trained, averaged or put in training mode.

    The module is outside of ``parameters()``, ``buffers()`` and ``state_dict()``, is shared by
    copies, is created at first use, and is in float32.

    Arguments:
        make: Creates the module.
    """

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self._make = make
        self._held: list[nn.Module] = []  # In a list, so that it is not a submodule.

    def module(self, device: torch.device | str = "cpu") -> Any:
        """Return the module, on a device.

        Raises:
            GenzooError: It cannot be created.
        """
        if not self._held:
            with torch.random.fork_rng(devices=[]):
                self._held.append(self._make().float().eval().requires_grad_(False))
        return self._held[0].to(device)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenModule:
        """Return a copy that shares the module."""
        copy = FrozenModule(self._make)
        copy._held = self._held
        return copy
