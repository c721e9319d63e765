"""Sound models, from each of which broken ones differ in one thing."""

import numpy as np
import torch

import families
from families_common import drawn_by
from genzoo import CapabilityError, Real
from likelihoods import log_prob_of


class Exact(families.Autoregressive):
    """Exact likelihoods of four binary values, with codes that are the values."""

    def log_p(self, x):
        return self.conditionals(x).log_prob(x).sum(1)

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        return log_prob_of(self.log_p(self.asked(x, condition)), "exact")

    def asked(self, x, condition):
        self.check_rows(x)
        self.checked_condition(condition, len(x))
        return x.to(self.dtype)

    @torch.no_grad()
    def energy(self, x):
        return 3.0 - self.log_p(self.checked_rows(x))

    @property
    def codes(self):
        return Real(shape=self.event_shape)

    def encode(self, x, *, condition=None):
        self.checked_condition(condition, len(x))
        return 2 * self.checked_rows(x)

    def draw_codes(self, x, *, condition=None, generator):
        mean = self.encode(x, condition=condition)
        return mean + 0.1 * torch.randn(mean.shape, generator=generator, dtype=mean.dtype)

    def decode(self, z, *, condition=None):
        self.checked_condition(condition, len(z))
        return self.checked_codes(z, self.event_shape) / 2

    def filters(self):
        return self.logits.weight

    def inpaint(self, x, mask, *, generator, num_inference_steps=1000):
        x, mask = self.checked_inpainting(x, mask)
        drawn = torch.rand(x.shape, generator=generator).round()
        return torch.where(mask, drawn, x)


def noisy_bound(model, x, generator, num_samples):
    """log p(x) + log (1/K) Σ_k w_k with E[w_k] = 1: a lower bound, tighter for more draws."""
    shape = (num_samples or 100, len(x))
    log_w = torch.randn(shape, generator=generator, dtype=x.dtype) - 0.5
    return model.log_p(x) + log_w.logsumexp(0) - np.log(len(log_w))


class Bound(Exact):
    """Lower bounds of the same."""

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        x = self.asked(x, condition)
        return log_prob_of(noisy_bound(self, x, generator, num_samples), "lower bound")


class UpperBound(Exact):
    """Upper bounds of the same: the mirror image of lower ones."""

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        x = self.asked(x, condition)
        bound = noisy_bound(self, x, generator, num_samples)
        return log_prob_of(2 * self.log_p(x) - bound, "upper bound")


class Normal(families.Fixed):
    """Standard normal values."""

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield torch.randn(num, *model.event_shape, generator=generator, dtype=model.dtype)


class Gaussian(families.Linear):
    """An exact density of three real values, N(0.5, 0.3²)."""

    event_spaces = (Real,)

    @classmethod
    def example(cls):
        return cls.Config(event=Real(shape=(3,))), {"x": families.rows(8, 3)}

    def to_data(self, state):
        return 0.5 + 0.3 * state

    default_sampler = drawn_by(Normal)

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        self.check_rows(x)
        self.checked_condition(condition, len(x))
        if torch.is_grad_enabled():
            raise CapabilityError("Its density does not depend on a parameter.")
        normal = torch.distributions.Normal(0.5, 0.3)
        return log_prob_of(normal.log_prob(x.to(self.dtype)).sum(1), "exact", "density")


SOUND = {
    "sound-exact": Exact,
    "sound-bound": Bound,
    "sound-upper-bound": UpperBound,
    "sound-density": Gaussian,
}
