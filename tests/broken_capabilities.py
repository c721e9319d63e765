"""Models broken on purpose: what they say that they can do."""

import torch

from breaking import ANY, broken, estimate, put
from genzoo import Binary, CapabilityError, Real
from genzoo.finite import check_weights
from likelihoods import log_prob_of
from sound_models import Bound, Exact, Gaussian, UpperBound, noisy_bound


@broken("check_likelihood_kind", "what is called 'exact' is too low")
def exact_without_its_constant(name):
    put(name, Exact, log_prob=estimate(lambda m, x, g, k: m.log_p(x) - 0.3, "exact"))


@broken("check_likelihood_kind", "what is called 'exact' is too high")
def density_without_its_constant(name):
    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        self.check_rows(x)
        self.checked_condition(condition, len(x))
        if torch.is_grad_enabled():
            raise CapabilityError("Its density does not depend on a parameter.")
        normal = torch.distributions.Normal(0.5, 0.3)
        return log_prob_of(normal.log_prob(x).sum(1) + 1, "exact", "density")

    put(name, Gaussian, log_prob=log_prob)


@broken(
    "check_likelihood_kind",
    "what is called 'lower bound' is too high",
    also=("check_bound_tightens",),
)
def bound_on_the_wrong_side(name):
    function = lambda m, x, g, k: 2 * m.log_p(x) - noisy_bound(m, x, g, k)  # noqa: E731
    put(name, Bound, log_prob=estimate(function, "lower bound"))


@broken("check_likelihood_kind", "what is called 'upper bound' is too low")
def upper_bound_that_lies_below(name):
    function = lambda m, x, g, k: m.log_p(x) - 0.3 + 1 / (k or 100)  # noqa: E731
    put(name, UpperBound, log_prob=estimate(function, "upper bound"))


@broken("check_likelihood_kind", "off by more than a nat")
def estimate_that_is_far_off(name):
    function = lambda m, x, g, k: m.log_p(x) - 2  # noqa: E731
    put(name, Exact, log_prob=estimate(function, "stochastic estimate"))


@broken("check_likelihood", "Changed for everybody: torch generator", also=ANY)
def likelihood_that_seeds_everybody(name):
    def log_p(self, x, generator, num_samples):
        torch.manual_seed(0)
        return self.log_p(x)

    put(name, Exact, log_prob=estimate(log_p, "exact"))


DRAWN = ("check_draw_codes", "check_draws_by_row")
PRINTED = (*DRAWN, "check_decode", "check_encode_space", "check_decode_space")


@broken("check_encode", "It prints 'codes of 8", also=PRINTED)
def print_in_encoding(name):
    def encode(self, x, *, condition=None):
        print("codes of", len(x))
        return Exact.encode(self, x, condition=condition)

    put(name, Exact, encode=encode)


@broken("check_bound_tightens", "the wrong way")
def bound_that_loosens(name):
    function = lambda m, x, g, k: m.log_p(x) - 0.01 * (k or 10) - 0.5  # noqa: E731
    put(name, Bound, log_prob=estimate(function, "lower bound"))


@broken("check_likelihood", "depends on the generator", also=ANY)
def exact_by_chance(name):
    put(name, Exact, log_prob=estimate(noisy_bound, "exact"))


@broken(
    "check_likelihood_by_row",
    "of each alone",
    also=("check_energy", "check_likelihood_kind"),
)
def likelihood_that_depends_on_other_rows(name):
    function = lambda m, x, g, k: m.log_p(x) * len(x)  # noqa: E731
    put(name, Exact, log_prob=estimate(function, "exact"))


@broken("check_likelihood_gradient", "no graph")
def likelihood_without_a_graph(name):
    function = lambda m, x, g, k: m.log_p(x).detach()  # noqa: E731
    put(name, Exact, log_prob=estimate(function, "exact"))


@broken("check_likelihood_gradient", "With gradients enabled they are")
def likelihood_whose_gradient_is_of_something_else(name):
    def log_p(self, x, generator, num_samples):
        return self.log_p(x) * (2 if torch.is_grad_enabled() else 1)

    put(name, Exact, log_prob=estimate(log_p, "exact"))


@broken("check_likelihood", "not a LogProb", also=ANY)
def likelihood_that_is_a_tensor(name):
    put(name, Exact, log_prob=lambda self, x, **_: self.log_p(x))


@broken("check_energy", "in energy")
def energy_of_another_model(name):
    put(name, Exact, energy=lambda self, x: self.checked_rows(x).square().sum(1))


@broken("check_capabilities", "is missing")
def half_a_capability(name):
    put(name, needs_data_init=lambda self: False)


@broken("check_capabilities", "does not take that", also=("check_encode", *DRAWN, "check_decode"))
def capability_with_other_arguments(name):
    put(name, Exact, encode=lambda self, x: x)


@broken("check_encode", "NotImplementedError", also=(*DRAWN, "check_decode"))
def capability_that_is_only_declared(name):
    def encode(self, x, *, condition=None):
        raise NotImplementedError

    put(name, Exact, encode=encode)


@broken("check_encode", "depends on other rows", also=("check_draws_by_row",))
def code_of_the_whole_batch(name):
    def encode(self, x, *, condition=None):
        z = Exact.encode(self, x, condition=condition)
        return z - z.mean(0)

    put(name, Exact, encode=encode)


@broken(
    "check_capabilities", "Of SupportsEncode it has encode alone; codes, draw_codes is missing"
)
def codes_without_a_space(name):
    put(name, encode=lambda self, x, *, condition=None: x)


@broken("check_encode", "codes is a tuple, not a Space", also=("check_draw_codes",))
def space_of_codes_that_is_a_shape(name):
    put(name, Exact, codes=property(lambda self: self.event_shape))


@broken(
    "check_encode", "encode of 8 rows has (8, 4); codes says (8, 5)", also=("check_draw_codes",)
)
def codes_of_another_shape_than_said(name):
    put(name, Exact, codes=property(lambda self: Real(shape=(5,))))


@broken(
    "check_draw_codes", "draw_codes returns what is not in codes: The space of codes takes zeros"
)
def probabilities_for_draws(name):
    def draw_codes(self, x, *, condition=None, generator):
        return self.encode(x, condition=condition) / 4

    put(name, Exact, codes=property(lambda self: Binary(shape=(4,))), draw_codes=draw_codes)


@broken("check_draw_codes", "draw_codes of 8 rows has (8, 2); codes says (8, 4)")
def draws_of_another_shape(name):
    def draw_codes(self, x, *, condition=None, generator):
        return Exact.draw_codes(self, x, condition=condition, generator=generator)[:, :2]

    put(name, Exact, draw_codes=draw_codes)


@broken("check_draw_codes", "the same generator draws other codes", also=ANY)
def draws_by_the_common_generator(name):
    def draw_codes(self, x, *, condition=None, generator):
        z = self.encode(x, condition=condition)
        return z + torch.randn(z.shape)

    put(name, Exact, draw_codes=draw_codes)


@broken("check_draws_by_row", "depends on other rows")
def draws_of_the_whole_batch(name):
    def draw_codes(self, x, *, condition=None, generator):
        z = Exact.draw_codes(self, x, condition=condition, generator=generator)
        return z - z.mean(0)

    put(name, Exact, draw_codes=draw_codes)


@broken("check_encode_space", "draw_codes takes 2 for zeros and ones")
def draws_of_greys(name):
    def draw_codes(self, x, *, condition=None, generator):
        self.checked_condition(condition, len(x))
        Real(shape=self.event_shape).require(x, "It")
        check_weights(self)
        return 2 * x.to(self.dtype)

    put(name, Exact, draw_codes=draw_codes)


@broken("check_decode", "not (8, 4)")
def decoded_to_another_shape(name):
    def decode(self, z, *, condition=None):
        return Exact.decode(self, z, condition=condition)[:, :2]

    put(name, Exact, decode=decode)


@broken("check_decode", "nothing defines a code")
def capability_that_cannot_be_exercised(name):
    put(name, decode=lambda self, z, *, condition=None: z)


@broken("check_filters", "Filters have")
def filters_of_another_shape(name):
    put(name, Exact, filters=lambda self: torch.zeros(3, 5))


@broken("check_inpainting", "changes what is given")
def inpainting_that_changes_what_is_given(name):
    def inpaint(self, x, mask, *, generator, num_inference_steps=1000):
        x, _ = self.checked_inpainting(x, mask)
        return 1 - x

    put(name, Exact, inpaint=inpaint)


@broken("check_inpainting", "changes what is given", also={"check_inpainting_space"})
def inpainting_where_the_mask_is_false(name):
    def inpaint(self, x, mask, *, generator, num_inference_steps=1000):
        x, mask = self.checked_inpainting(x, mask)
        return torch.where(mask, x, 1 - x)

    put(name, Exact, inpaint=inpaint)


@broken("check_data_init", "asks for data again", also=ANY)
def data_init_that_is_forgotten(name):
    def needs_data_init(self):
        return True

    def init_from_data(self, batch, spec):
        pass

    put(name, needs_data_init=needs_data_init, init_from_data=init_from_data)


@broken("check_classify", "do not sum to one")
def scores_that_are_no_probabilities(name):
    put(name, Exact, classify=lambda self, x: self.checked_rows(x))
