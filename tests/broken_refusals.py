"""Models broken on purpose: what they should refuse, and take."""

import math

import torch

import families
import genzoo
from breaking import ANY, broken, put, sampler
from genzoo.errors import GenzooError
from genzoo.finite import check_weights
from likelihoods import log_prob_of
from sound_models import Exact


def only_finite(model, x):
    """Look at rows as if they were of any real values."""
    genzoo.Real(shape=model.event_shape).require(x, "It")
    check_weights(model)
    return x.to(model.dtype)


# Values


@broken("check_likelihood_space", "log_prob takes 2 for zeros and ones")
def likelihood_of_greys(name):
    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        self.checked_condition(condition, len(x))
        return log_prob_of(self.log_p(only_finite(self, x)), "exact")

    put(name, Exact, log_prob=log_prob)


@broken("check_likelihood_space", "log_prob takes nan for zeros and ones")
def likelihood_of_nan(name):
    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        return Exact.log_prob(self, torch.nan_to_num(x, 1.0), condition=condition)

    put(name, Exact, log_prob=log_prob)


@broken("check_likelihood_space", "takes rows of shape (5,) for (4,): RuntimeError (mat1 and mat2")
def likelihood_that_leaves_the_shape_to_torch(name):
    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        self.checked_condition(condition, len(x))
        genzoo.Binary(shape=tuple(x.shape[1:])).require(x, "It")
        check_weights(self)
        return log_prob_of(self.log_p(x), "exact")

    put(name, Exact, log_prob=log_prob)


@broken("check_energy_space", "energy takes 2 for zeros and ones")
def energy_of_greys(name):
    def energy(self, x):
        return 3.0 - self.log_p(only_finite(self, x)).detach()

    put(name, Exact, energy=energy)


@broken("check_encode_space", "encode takes 0.5 for zeros and ones")
def code_of_greys(name):
    def encode(self, x, *, condition=None):
        return Exact.encode(self, torch.where(x == 0.5, 1.0, x), condition=condition)

    put(name, Exact, encode=encode)


@broken("check_encode_space", "encode takes a condition, which the model has not")
def code_with_a_condition_that_is_not_heard(name):
    put(name, Exact, encode=lambda self, x, *, condition=None: 2 * self.checked_rows(x))


@broken("check_decode_space", "decode takes nan for finite numbers")
def code_that_is_nan(name):
    def decode(self, z, *, condition=None):
        self.checked_condition(condition, len(z))
        return self.checked_codes(torch.nan_to_num(z), self.event_shape) / 2

    put(name, Exact, decode=decode)


@broken(
    "check_decode_space",
    "takes 4.1943e+06 for the condition label, labels from 0 to 2: RuntimeError",
)
def label_that_is_left_to_torch(name):
    def decode(self, z, *, condition=None):
        label = None if condition is None else condition.get("label")
        wrong = label is not None and bool((label >= 3).any())
        known = {"label": torch.zeros_like(label)} if wrong else condition
        found = families.VAE.decode(self, z, condition=known)
        torch.nn.functional.one_hot(torch.as_tensor(label), 3)
        return found

    put(name, families.VAE, decode=decode)


@broken("check_decode_space", "decode takes 7 of the condition label, 8 rows")
def last_label_that_serves_for_the_rest(name):
    def decode(self, z, *, condition=None):
        label = None if condition is None else condition.get("label")
        if label is not None and label.ndim and len(label) < len(z):
            label = torch.cat([label, label[-1:].expand(len(z) - len(label))])
            condition = {"label": label}
        return families.VAE.decode(self, z, condition=condition)

    put(name, families.VAE, decode=decode)


@broken("check_classify_space", "classify takes inf for zeros and ones")
def scores_of_infinity(name):
    def classify(self, x):
        return self.checked_rows(torch.where(x.abs() == math.inf, 1.0, x)).softmax(1)

    put(name, Exact, classify=classify)


@broken("check_translate_space", "translate to x takes -0.5 for values in [0, 1]")
def translation_of_one_domain_that_is_not_looked_at(name):
    def translate(self, x, *, to):
        return families.Cycle.translate(self, x if to == "y" else x.clamp_min(0), to=to)

    put(name, families.Cycle, translate=translate)


@broken("check_inpainting_space", "inpaint takes 2 for zeros and ones")
def inpainting_of_greys(name):
    def inpaint(self, x, mask, *, generator, num_inference_steps=1000):
        x, mask = Exact.checked_inpainting(self, torch.where(x == 2, 1.0, x), mask)
        return torch.where(mask, torch.rand(x.shape, generator=generator).round(), x)

    put(name, Exact, inpaint=inpaint)


@broken("check_inpainting_space", "NaN where the mask is true stays NaN")
def inpainting_that_fills_nothing_in(name):
    def inpaint(self, x, mask, *, generator, num_inference_steps=1000):
        checked, mask = Exact.checked_inpainting(self, x, mask)
        return torch.where(mask, x, checked)

    put(name, Exact, inpaint=inpaint)


# No rows


@broken("check_empty_batches", "log_prob of no rows has (1,), not (0,)")
def likelihood_of_nothing(name):
    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        if len(x):
            return Exact.log_prob(self, x, condition=condition)
        return log_prob_of(torch.zeros(1), "exact")

    put(name, Exact, log_prob=log_prob)


@broken("check_empty_batches", "encode of no rows has (0,), not (0, 4)")
def empty_code_of_another_shape(name):
    def encode(self, x, *, condition=None):
        rows = [Exact.encode(self, row[None], condition=condition) for row in x]
        self.checked_rows(x)
        self.checked_condition(condition, len(x))
        return torch.cat(rows) if rows else torch.empty(0)

    put(name, Exact, encode=encode)


@broken("check_empty_batches", "encode of no rows: ValueError (torch.cat(): expected a non-empty")
def code_that_needs_rows(name):
    def encode(self, x, *, condition=None):
        z = Exact.encode(self, x, condition=condition)
        return torch.cat([row[None] for row in z])

    put(name, Exact, encode=encode)


# Weights that are broken


@broken("check_broken_weights", "With nan in logits.weight, encode gives a result")
def code_that_does_not_look_at_the_weights(name):
    def encode(self, x, *, condition=None):
        self.event.require(x, "It")
        self.checked_condition(condition, len(x))
        return 2 * x

    put(name, Exact, encode=encode)


@broken("check_broken_weights", "sample raises an error that does not name it: Something is wrong")
def error_that_names_nothing(name):
    def sample(self, num, **options):
        if not torch.isfinite(self.net.weight).all():
            raise GenzooError("Something is wrong.")
        return families.Linear.sample(self, num, **options)

    put(name, sample=sample)


@broken("check_broken_weights", "With nan in net.weight, sample gives a result")
def sample_that_swallows_nan(name):
    def sample(self, num, **options):
        kept = {n: p.detach().clone() for n, p in self.named_parameters()}
        for p in self.parameters():
            p.data = torch.nan_to_num(p.data, posinf=0.0)
        try:
            return families.Linear.sample(self, num, **options)
        finally:
            for n, p in self.named_parameters():
                p.data = kept[n]

    put(name, sample=sample)


@broken("check_broken_states", "NaN is lost in a comparison or a clamp", also=ANY)
def zeros_drawn_of_nan(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        x = torch.zeros(num, *model.event_shape, dtype=model.dtype)
        for i in range(x.shape[1]):
            u = torch.rand(num, generator=generator)
            x[:, i] = (u < model.conditionals(x).probs[:, i]).to(x)
        yield x

    put(name, Exact, default_sampler=sampler(trajectory, families.Ancestral))
