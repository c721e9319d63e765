"""The trajectories of the first samples, as a picture or as a moving one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from genzoo.animation import MAX_FRAMES, SUFFIXES, write_animation
from genzoo.errors import ConfigError, DataError
from genzoo.model import Model
from genzoo.plotting import evenly, grid, lines_of_text, point_frames, trajectories, write_picture
from genzoo.sampler import Sampler
from genzoo.sampling import evaluating
from genzoo.showing import are_lines, are_points, can_be_shown, images_of

COLUMNS = 10
"""The states in a picture."""
_ROWS, _IN_A_FRAME, _POINTS = 8, 16, 1000


def check_suffix(path: Path) -> None:
    """Raise ConfigError if the name of a trajectory's file has another suffix."""
    known = (".png", *SUFFIXES)
    if path.suffix not in known:
        raise ConfigError(f"--trajectory must end in .png, .gif or .html, got {str(path)!r}.")


class Way:
    """Keeps evenly spaced states of the first samples of the first block, and writes them.

    Arguments:
        model: The model.
        sampler: The sampler, whose number of states decides which are kept; all if it does not
            know it.
        path: The file, FILE.png, FILE.gif or FILE.html.

    Raises:
        DataError: The states cannot be shown in such a file.
    """

    def __init__(self, model: Model, sampler: Sampler, path: Path) -> None:
        _check_shown(model, path)
        self.path = path
        self.moves = path.suffix in SUFFIXES
        # Few trajectories of images, many of points in the plane.
        images = _IN_A_FRAME if self.moves and not are_lines(model.event) else _ROWS
        self.rows = _POINTS if are_points(model.event) else images
        self.most = MAX_FRAMES if self.moves else COLUMNS
        num_states = sampler.num_states(model)
        self.wanted = None if num_states is None else set(evenly(num_states, self.most))
        self.kept: list[tuple[int, Tensor]] = []
        self.come = 0

    def __call__(self, k: int, state: Tensor) -> None:
        """Receive a state of block ``k``."""
        if k == 0:
            if self.wanted is None or self.come in self.wanted:
                self.kept.append((self.come, state[: self.rows].clone()))
            self.come += 1

    def write(self, model: Model, num: int) -> str:
        """Write the file with the first of ``num`` samples, and return what it shows."""
        numbers, states = self.states(model, num)
        if not self.moves:
            write_picture(trajectories([images_of(model.event, s) for s in states]), self.path)
            return f"{len(states)} states of the first {len(states[0])} samples"
        what = f"The first {len(states[0])} of {num} samples, state by state"
        titles = [f"state {number + 1:,} of {self.come:,}" for number in numbers]
        frames = write_animation(_frames(model, states), self.path, titles=titles, title=what)
        return f"{what}, {frames} of {self.come:,} states"

    @torch.no_grad()
    def states(self, model: Model, num: int) -> tuple[list[int], list[Tensor]]:
        """Return the states of the first of ``num`` samples in the units of x, on the CPU.

        Their numbers, from 0, come first.
        """
        with evaluating(model):
            shown = [self.kept[i] for i in evenly(len(self.kept), self.most)]
            states = [model.to_data(state[:num]).cpu() for _, state in shown]
        return [number for number, _ in shown], states


def _check_shown(model: Model, path: Path) -> None:
    """Raise DataError if states cannot be shown in a file with this suffix."""
    event = model.event
    if not can_be_shown(event):
        raise DataError(f"There is no picture of {event.describe()}: leave --trajectory out.")
    if path.suffix == ".png" and are_lines(event):
        raise DataError(
            f"Rows of {event.describe()} are text, which a picture of trajectories does not hold. "
            f"Let --trajectory end in .gif or .html, got {str(path)!r}."
        )


def _frames(model: Model, states: Sequence[Tensor]) -> list[Image.Image]:
    """Return a frame for each state: a grid of images, points on one scale, or lines of text."""
    if are_lines(model.event):
        texts = [model.event.lines(state) for state in states]
        if any(lines is None for lines in texts):
            raise DataError(f"There is no picture of {model.event.describe()}.")
        return _of_one_size([lines_of_text(lines or []) for lines in texts])
    images = [images_of(model.event, state) for state in states]
    if are_points(model.event):
        return point_frames(images)
    return _of_one_size([grid(x) for x in images])


def _of_one_size(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return frames with white at their right and below, so that all have one size."""
    size = (max(frame.width for frame in frames), max(frame.height for frame in frames))
    found = []
    for frame in frames:
        canvas = Image.new(frame.mode, size, "white")
        canvas.paste(frame, (0, 0))
        found.append(canvas)
    return found
