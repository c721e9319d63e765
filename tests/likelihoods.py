"""Log-probabilities as the tests' models give them, and their mean as an evaluation reports it."""

import torch

from genzoo.plugin import LogProb, by_blocks


def log_prob_of(values, kind, measure="mass"):
    """Return the values of rows, (N,), in the form that a model gives them."""
    values = by_blocks(lambda rows: values[rows], len(values), 4)
    return LogProb(values=values, kind=kind, measure=measure)


def mean_log_prob(model, x, **options):
    """Return the mean over rows with its error and notes, without gradients."""
    with torch.no_grad():
        return model.log_prob(x, **options).mean()
