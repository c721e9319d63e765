"""Cards: the README.md of a model folder, whose figures a Hub reads as its model index."""

from genzoo.card.figures import Figure, figures_of
from genzoo.card.writing import CARD_FILE, read_figures, read_licence, write_card, write_figures

__all__ = [
    "CARD_FILE",
    "Figure",
    "figures_of",
    "read_figures",
    "read_licence",
    "write_card",
    "write_figures",
]
