"""A short training of a toy."""

import families
import genzoo

DATA = families.rows(32, 3, seed=5)


def fit(model=None, data=DATA, objective=None, **config):
    model = model if model is not None else families.linear()
    settings = {"max_steps": 5, "batch_size": 8, "progress": False} | config
    genzoo.Trainer(model, data, objective, genzoo.TrainerConfig(**settings)).fit()
    return model


def difference(a, b):
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return max((p - q).abs().max().item() for p, q in pairs)
