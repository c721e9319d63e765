"""Models whose distribution is known, for the tests of metrics: rows given are drawn again."""

import torch
from torch import nn

import families
from families_common import drawn_by
from genzoo import Binary, Categorical, Label, Real, Unit, seeds
from genzoo.data import from_array
from genzoo.evaluation import Case
from genzoo.plugin import GenerativeModel, Sampler


class Redraw(Sampler):
    Config = families.None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.rows[self.pick(model, num, condition, generator)]

    def pick(self, model, num, condition, generator):
        if not condition:
            return torch.randint(len(model.rows), (num,), generator=generator)
        wanted = condition["label"].tolist()
        fitting = [(model.label == label).nonzero()[:, 0] for label in wanted]
        return torch.stack([i[torch.randint(len(i), (), generator=generator)] for i in fitting])


class Replay(GenerativeModel):
    """Draws among given rows, with replacement; its event is what an array of them would be."""

    Config = families.ToyConfig
    event_spaces = (Binary, Categorical, Real, Unit)

    def __init__(self, rows, label=None, event=None):
        event = event or from_array(rows, "rows").info["x"]
        super().__init__(self.Config(event=event, **self.given(label)))
        self.rows, self.label = rows, label
        self.nothing = nn.Parameter(torch.zeros(()))

    def given(self, label):
        return {}

    @classmethod
    def example(cls):
        raise NotImplementedError

    @classmethod
    def default_stages(cls, config):
        raise NotImplementedError

    default_sampler = drawn_by(Redraw)


class LabelledReplay(Replay):
    """Draws among the rows of the label that is asked for."""

    Config = families.LabelledConfig
    condition_spaces = (Label,)

    def given(self, label):
        num = 3 if label is None else int(label.max()) + 1
        return {"conditions": {"label": Label(num_classes=num)}}


def gaussian(num, mean, covariance, seed=0):
    """Return draws (num, D) of N(mean, covariance), float64."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num, len(mean), generator=generator, dtype=torch.float64)
    return mean + noise @ torch.linalg.cholesky(covariance).T


def covariance(size, seed=0):
    """Return a covariance matrix (size, size) that is far from round, float64."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return a @ a.T / size + 0.1 * torch.eye(size, dtype=torch.float64)


def case(model, data, num=10_000, seed=0, sampler=None):
    """Return a case of the data's first rows."""
    return Case(model, data, data.head(num), seeds.generator(seed), seed, sampler)
