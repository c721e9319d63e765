"""Cards: the README.md of a model folder, with its figures as a model index for the Hub."""

from genzoo.card.figures import Figure, figures_of
from genzoo.card.samples import NUM_SAMPLES, draw_samples
from genzoo.card.writing import (
    has_figures_block,
    read_figures,
    read_licence,
    shows_its_figures,
    write_card,
    write_figures,
)

__all__ = [
    "NUM_SAMPLES",
    "Figure",
    "draw_samples",
    "figures_of",
    "has_figures_block",
    "read_figures",
    "read_licence",
    "shows_its_figures",
    "write_card",
    "write_figures",
]
