"""Cards: the README.md of a model folder, with its figures as a model index for the Hub."""

from genzoo.card.figures import Figure as Figure, figures_of as figures_of
from genzoo.card.samples import NUM_SAMPLES as NUM_SAMPLES, draw_samples as draw_samples
from genzoo.card.writing import (
    has_figures_block as has_figures_block,
    read_figures as read_figures,
    read_licence as read_licence,
    shows_its_figures as shows_its_figures,
    write_card as write_card,
    write_figures as write_figures,
)
