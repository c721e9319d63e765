"""GenerativeModel: the base class of families, with saving and sharing."""

from __future__ import annotations

import os

from genzoo.config import C
from genzoo.model import Model
from genzoo.pretrained import display
from genzoo.saving import save_model


class GenerativeModel(Model[C]):
    """Abstract base class of models: a distribution over x, possibly given conditions.

    `Model` documents what a family implements; this class adds saving and sharing. Samplers,
    objectives and metrics take a `Model`.

    ``repr(model)`` is one line, and the last line of a notebook's cell shows a table;
    ``print(model)`` prints the tree of modules.
    """

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config and weights to ``folder``: a model folder that `GenModel` loads.

        Raises:
            DiskFullError: No space is left; the previous content is unchanged.
        """
        save_model(self, folder)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        license: str | None = None,
        message: str | None = None,
        samples: int = 36,
        token: str | bool | None = None,
    ) -> str:
        """Push config, weights and a card with a picture of samples to a Hub in one commit.

        Arguments:
            repository: ``user/name``; created if it does not exist.
            private: Whether a new repository is private; None means the account's default.
            revision: The branch, created if it does not exist; "main" by default.
            license: The licence for the card's head, such as "mit".
            message: The message of the commit.
            samples: The number of samples in the picture; 0 for no picture.
            token: The access token; None means that of HF_TOKEN or of ``hf auth login``.

        Returns:
            The URL of the commit.

        Raises:
            HubConflictError: Somebody else pushed in the meantime; nothing was overwritten.
            HubError: The push failed; the subclass and the message say why.
        """
        from genzoo.pretrained.pushing import push_model

        return push_model(
            self,
            repository,
            private=private,
            revision=revision,
            license=license,
            message=message,
            samples=samples,
            token=token,
        )

    def __repr__(self) -> str:
        return display.line_of(self)

    def __str__(self) -> str:
        return display.tree_of(self)

    def _repr_html_(self) -> str:
        return display.html_of(self)
