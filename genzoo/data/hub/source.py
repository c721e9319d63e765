"""Map-style datasets of the Hugging Face Hub, through `datasets`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from genzoo.data.config import DataConfig
from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.hub.columns import HubConfig
from genzoo.data.hub.image_rows import HubRows
from genzoo.data.libraries import library
from genzoo.errors import DataError

__all__ = ["HubConfig", "HubDataset", "HubRows", "asked_of_library", "load_from_hub"]


class HubDataset(DataSource[HubConfig]):
    """A repository of images, possibly with labels or captions."""

    Config = HubConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the names of the repository's splits."""
        return self._splits

    def load(self, split: str) -> Dataset:
        """Return one split, decoded batch by batch; the first split decides the space of all."""
        first = self._splits[0]
        return self._first if split == first else self._rows(split, like=self._first)

    @cached_property
    def _splits(self) -> tuple[str, ...]:
        datasets, config = _library(), self.config
        found = _asked(
            self.location,
            lambda: datasets.get_dataset_split_names(
                self.location, config.subset, revision=config.revision
            ),
        )
        return tuple(sorted(found, key=lambda name: name != "train"))

    @cached_property
    def _first(self) -> HubRows:
        return self._rows(self._splits[0])

    def _rows(self, split: str, like: HubRows | None = None) -> HubRows:
        return load_from_hub(self.location, split, self.config, like=like)


def load_from_hub(
    repository: str, split: str, config: DataConfig, *, like: HubRows | None = None
) -> HubRows:
    """Return a split of a repository.

    Arguments:
        repository: Its name.
        split: The name of the split.
        config: Its config; another source's counts as the default one.
        like: The rows of another split, whose classes, size and mode these have.

    Raises:
        DataError: It is not available, or has no images.
        MissingDependencyError: `datasets` is not installed.
    """
    datasets = _library()
    hub = config if isinstance(config, HubConfig) else HubConfig()
    rows = _asked(
        repository,
        lambda: datasets.load_dataset(
            repository, hub.subset, split=split, revision=hub.revision, streaming=False
        ),
    )
    return HubRows(rows, hub, f"{repository}/{split}", like=like)


def asked_of_library(repository: str, ask: Callable[[Any], Any]) -> Any:
    """Return what the package `datasets` answers about a repository.

    Arguments:
        repository: Its name.
        ask: Called with the package.

    Raises:
        DataError: The repository is not available.
        MissingDependencyError: `datasets` is not installed.
    """
    datasets = _library()
    return _asked(repository, lambda: ask(datasets))


def _library() -> Any:
    return library("datasets", "Datasets of the Hub")


def _asked(repository: str, ask: Any) -> Any:
    """Call the library; any of its errors means that the data are not available."""
    own = _library().exceptions.DatasetsError
    try:
        return ask()
    except (OSError, ValueError, RuntimeError, KeyError, own) as error:
        first = str(error).strip().partition("\n")[0]
        raise DataError(f"The dataset {repository!r} is not available: {first}") from error
