"""Folders of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.domains import TwoDomains
from genzoo.data.images.appearance import colour_of
from genzoo.data.images.config import ImagesConfig, PicturesConfig
from genzoo.data.images.decoding import ENDINGS, decode
from genzoo.data.images.headers import Header, read_header
from genzoo.data.images.rows import PictureRows
from genzoo.data.images.subfolders import Layout, find_layout
from genzoo.data.images.survey import Survey
from genzoo.data.images.tree import Tree
from genzoo.data.natural_order import natural_key
from genzoo.errors import DataError
from genzoo.progress import progress_bar


class ImageFolder(DataSource[ImagesConfig]):
    """Images in a folder; its folders train, valid and test are splits, others are classes.

    Folders trainA and trainB are two domains. All splits share their classes, size and mode.
    """

    Config = ImagesConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the folder has."""
        return tuple(self._layout.splits)

    def load(self, split: str) -> Dataset:
        """Return one split; its images are decoded batch by batch.

        Raises:
            DataError: There are none, one cannot be read, or they differ in size.
        """
        domains = [self._rows(split, number) for number in range(len(self._layout.splits[split]))]
        found = domains[0] if len(domains) == 1 else TwoDomains(*domains)
        found.notes = (*self._layout.notes, *found.notes)
        return found

    def _rows(self, split: str, domain: int) -> ImageFiles:
        """Return the images of a split; one domain has one space in all splits."""
        own = self._trees[split][domain]
        trees = [found[domain] for found in self._trees.values() if domain < len(found)]
        classes, notes = _classes(trees)
        survey = self._survey(own)
        # With both values given, other splits cannot change how the images are read.
        is_settled = self.config.size is not None and self.config.mode is not None
        others = [] if is_settled else [tree for tree in trees if tree is not own]
        joined = survey.joined(map(self._survey, others))
        name = f"{Path(self.location).resolve().name}/{split}"
        if len(self._trees[split]) > 1:
            name += "AB"[domain]
        rows = ImageFiles(own, self.config, joined, classes, name)
        rows.notes = (*own.notes(), *notes, *survey.notes(joined.mode))
        return rows

    def _survey(self, tree: Tree) -> Survey:
        if tree.root not in self._surveys:
            self._surveys[tree.root] = survey_files(tree.paths, self.config)
        return self._surveys[tree.root]

    @cached_property
    def _layout(self) -> Layout:
        return find_layout(Path(self.location), self.config.subfolders)

    @cached_property
    def _trees(self) -> dict[str, list[Tree]]:
        """The images of each split, and of its domains."""
        return {name: [Tree(f) for f in found] for name, found in self._layout.splits.items()}

    @cached_property
    def _surveys(self) -> dict[Path, Survey]:
        return {}


class ImageFiles(PictureRows):
    """Images of files.

    Arguments:
        tree: The files.
        config: How they become rows.
        survey: The survey of all images that share their space, also of other splits.
        classes: The names of the folders that are classes; may be empty.
        name: The dataset's name.

    Raises:
        DataError: There are no files.
    """

    def __init__(
        self, tree: Tree, config: PicturesConfig, survey: Survey, classes: list[str], name: str
    ) -> None:
        self.paths, self.name = tree.paths, name
        if not tree.paths:
            left_out = "".join(f" {note}" for note in tree.notes())
            raise DataError(f"{str(tree.root)!r} has no images ({', '.join(ENDINGS)}).{left_out}")
        numbers = {folder: number for number, folder in enumerate(classes)}
        label = [numbers[path.relative_to(tree.root).parts[0]] for path in tree.paths if classes]
        super().__init__(
            len(tree.paths),
            config,
            survey,
            label=torch.tensor(label) if classes else None,
            class_names=classes,
        )

    def decode(self, rows: list[int]) -> list[tuple[str, Tensor]]:
        """Return the path and the image of each of some rows."""
        return [
            (str(self.paths[i]), decode(self.paths[i], self.paths[i], self.look)) for i in rows
        ]


def survey_files(paths: Sequence[Path], config: PicturesConfig) -> Survey:
    """Return the survey of image files, from their headers.

    Raises:
        DataError: One cannot be read, or they differ in size.
    """
    background = colour_of(config.background)
    with progress_bar("Reading headers of images", "image", len(paths)) as shown:

        def headers() -> Iterator[tuple[str, Header]]:
            for path in paths:
                yield str(path), read_header(path, path, background, config.max_pixels)
                shown.update()

        return Survey(config).add(headers())


def _classes(trees: Sequence[Tree]) -> tuple[list[str], list[str]]:
    """Return the names of the classes in natural order, and notes if there are none.

    Images in a folder of their own have no labels; neither have those of one class only.
    """
    folders = set[str]().union(*(tree.folders() for tree in trees))
    if len(folders - {""}) > 1 and "" not in folders:
        return sorted(folders, key=natural_key), []
    if len(folders) > 1:
        return [], ["Some images are in no folder of a class, so none has a label."]
    if folders - {""}:
        return [], [f"All images are in one folder, {folders.pop()}, so they have no labels."]
    return [], []
