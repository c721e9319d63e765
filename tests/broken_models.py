"""Models broken on purpose, one fault each, with the check that must name it.

Each function registers one under its own name, and returns nothing. ``also`` are the checks that
the same fault may fail besides.
"""

import itertools
import math
import threading
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import families
import genzoo
from genzoo import registry
from genzoo.estimate import mean_of

ANY = None
BROKEN = {}


def broken(check, says, also=()):
    """Note a function that registers a model which ``check`` must fail, saying ``says``."""

    def decorate(function):
        name = function.__name__.replace("_", "-")
        BROKEN[name] = (lambda: function(name), check, says, also)
        return function

    return decorate


def put(name, base=families.Linear, **methods):
    registry.register("models", name)(type("Broken", (base,), methods))


def put_with_loss(
    name, losses, base=families.LeastSquares, model=families.Linear, config=None, **methods
):
    """Register a model that learns by an objective of other losses, or of another config."""
    own = {"losses": losses, "Config": config or base.Config}
    registry.register("objectives", name)(type("Objective", (base,), own))
    put(name, model, default_stages=classmethod(lambda cls: families.stage(name)), **methods)


def sampler(trajectory, base=families.Fixed):
    made = type("Broken", (base,), {"trajectory": trajectory})
    return lambda self: made()


# Sound ones that the broken ones differ from in one thing.


class Exact(families.Autoregressive):
    """Exact likelihoods of four binary values, with codes that are the values."""

    def log_prob(self, x):
        return self.conditionals(x).log_prob(x).sum(1)

    @torch.no_grad()
    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        return mean_of(self.log_prob(x), "exact")

    @torch.no_grad()
    def energy(self, x):
        return 3.0 - self.log_prob(x)

    def encode(self, x, *, condition=None):
        return 2 * x

    def decode(self, z, *, condition=None):
        return z / 2

    def filters(self):
        return self.logits.weight

    def complete(self, x, known, *, generator, num_steps=1000):
        drawn = torch.rand(x.shape, generator=generator).round()
        return torch.where(known, x, drawn)


def noisy_bound(model, x, generator, num_samples):
    """log p(x) + log (1/K) Σ_k w_k with E[w_k] = 1: a lower bound, tighter for more draws."""
    shape = (num_samples or 100, len(x))
    log_w = torch.randn(shape, generator=generator, dtype=x.dtype) - 0.5
    return model.log_prob(x) + log_w.logsumexp(0) - np.log(len(log_w))


class Bound(Exact):
    """Lower bounds of the same."""

    @torch.no_grad()
    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        return mean_of(noisy_bound(self, x, generator, num_samples), "lower bound")


class UpperBound(Exact):
    """Upper bounds of the same: the mirror image of lower ones."""

    @torch.no_grad()
    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        bound = noisy_bound(self, x, generator, num_samples)
        return mean_of(2 * self.log_prob(x) - bound, "upper bound")


class Normal(families.Fixed):
    """Standard normal values."""

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield torch.randn(num, *model.event_shape, generator=generator, dtype=model.dtype)


class Gaussian(families.Linear):
    """An exact density of three real values, N(0.5, 0.3²)."""

    kind = frozenset({"real"})

    def present(self, state):
        return 0.5 + 0.3 * state

    def sampler(self):
        return Normal()

    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        return mean_of(torch.distributions.Normal(0.5, 0.3).log_prob(x).sum(1), "exact")


SOUND = {
    "sound-exact": Exact,
    "sound-bound": Bound,
    "sound-upper-bound": UpperBound,
    "sound-density": Gaussian,
}


# Configs and kinds


@broken("check_config_closed", "Open has numbers without Bounds: event_shape, depth")
def config_without_bounds(name):
    @dataclass(frozen=True, kw_only=True)
    class Open(genzoo.Config):
        event_shape: tuple[int, ...]
        depth: int = 3

    def example(cls):
        return Open(event_shape=(3,)), {"x": families.rows(8, 3)}

    put(name, Config=Open, example=classmethod(example))


def put_config(name, made, **methods):
    def example(cls):
        return made(event_shape=(3,)), {"x": families.rows(8, 3)}

    put(name, Config=made, example=classmethod(example), **methods)


@broken("check_config_bounds", "which is out of its bounds")
def config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Anything(families.ToyConfig):
        """Checks nothing."""

        def __post_init__(self):
            object.__setattr__(self, "event_shape", tuple(self.event_shape))

    put_config(name, Anything)


@broken("check_config_closed", "accepts a field that it does not have")
def config_that_ignores_what_it_knows_not(name):
    @dataclass(frozen=True, kw_only=True)
    class Lenient(families.ToyConfig):
        """Leaves out what it does not know."""

        @classmethod
        def from_dict(cls, values):
            known = {k: v for k, v in values.items() if k in ("event_shape", "width")}
            return super().from_dict(known)

    put_config(name, Lenient)


@broken("check_config_bounds", "does not build: IndexError")
def lower_bound_that_does_not_build(name):
    @dataclass(frozen=True, kw_only=True)
    class Low(families.ToyConfig):
        """May be zero, it says."""

        width: Annotated[int, genzoo.Bounds(0, 10)] = 5

    def init(self, config):
        families.Linear.__init__(self, config)
        self.last = [nn.Identity() for _ in range(config.width)][-1]

    put_config(name, Low, __init__=init)


@broken("check_config_bounds", "does not build: ZeroDivisionError")
def lower_bound_that_divides_by_nothing(name):
    @dataclass(frozen=True, kw_only=True)
    class Low(families.ToyConfig):
        """May be zero, it says."""

        width: Annotated[int, genzoo.Bounds(0, 10)] = 5

    def init(self, config):
        families.Linear.__init__(self, config)
        self.share = 1 / config.width

    put_config(name, Low, __init__=init)


@broken("check_config_bounds", "its config fails: OverflowError")
def upper_bound_that_its_config_cannot_bear(name):
    @dataclass(frozen=True, kw_only=True)
    class High(families.ToyConfig):
        """Computes with what it is given."""

        rate: Annotated[float, genzoo.Bounds(0.0, 1e9)] = 1.0

        def __post_init__(self):
            super().__post_init__()
            math.exp(self.rate)

    put_config(name, High)


@broken("check_config_bounds", "The field 'inner' takes")
def config_within_a_config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Inner(genzoo.Config):
        """Checks nothing."""

        depth: Annotated[int, genzoo.Bounds(1, 4)] = 2

        def __post_init__(self):
            pass

    @dataclass(frozen=True, kw_only=True)
    class Outer(families.ToyConfig):
        """Holds the other one."""

        inner: Inner | None = None

    put_config(name, Outer)


@broken("check_config_closed", "Long has numbers without Bounds: widths")
def list_of_any_length(name):
    @dataclass(frozen=True, kw_only=True)
    class Long(families.ToyConfig):
        """As many layers as it is given."""

        widths: tuple[Annotated[int, genzoo.Bounds(1, 8)], ...] = (2,)

    put_config(name, Long)


@broken("check_config_closed", "Rate has numbers without Bounds: steps")
def objective_config_without_bounds(name):
    @dataclass(frozen=True, kw_only=True)
    class Rate(genzoo.Config):
        """Any number of steps."""

        steps: int = 1

    put_with_loss(name, families.LeastSquares.losses, config=Rate)


@broken("check_config_bounds", "The field 'temperature' takes")
def sampler_config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Hot(genzoo.Config):
        """Checks nothing."""

        temperature: Annotated[float, genzoo.Bounds(0.0, 2.0)] = 1.0

        def __post_init__(self):
            pass

    made = type("Sampler", (families.Fixed,), {"Config": Hot})
    put(name, sampler=lambda self: made())


@broken("check_kinds", "declares the kind 'binary'")
def kind_that_it_refuses(name):
    def check_data(self, spec):
        if spec.kind == "binary":
            raise genzoo.DataError("No zeros and ones.")

    put(name, kind=frozenset({"real", "binary"}), check_data=check_data)


@broken("check_registered", "kind is frozenset({'colourful'})", also=ANY)
def kind_that_there_is_not(name):
    put(name, kind=frozenset({"colourful"}))


@broken("check_condition", "condition_kind is 'mood'", also=ANY)
def condition_that_there_is_not(name):
    put(name, condition_kind="mood")


# Storage


@broken("check_builds_empty", "other names or shapes", also=("check_save_load", "check_card"))
def another_model_without_memory(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        if self.net.weight.is_meta:
            self.extra = nn.Linear(2, 2)

    put(name, __init__=init)


@broken("check_builds_empty", "table take real memory")
def numpy_buffer(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.register_buffer("table", torch.from_numpy(np.ones((3, 3))), persistent=False)

    put(name, __init__=init)


@broken("check_state_is_registered", "a numpy array in the attribute 'table'")
def numpy_attribute(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.table = np.ones(9)

    put(name, __init__=init)


@broken("check_state_is_registered", "a tensor in the attribute 'scale'")
def tensor_that_is_no_buffer(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.scale = torch.ones(3)

    put(name, __init__=init)


@broken(
    "check_training_keeps_buffers",
    "not saved: seen",
    also=("check_resume_is_exact", "check_processes"),
)
def trained_buffer_that_is_not_saved(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def losses(self, batch, step):
        self.model.seen += 1
        yield genzoo.Loss(self.model.seen.item() * self.model.net(batch["x"]).square().mean())

    put_with_loss(name, losses, __init__=init)


@broken("check_save_load", "samples other values", also=("check_resume_is_exact",))
def state_that_only_the_instance_has(name):
    serial = itertools.count()

    def init(self, config):
        families.Linear.__init__(self, config)
        self.offset = float(next(serial))

    put(name, __init__=init, present=lambda self, state: state + self.offset)


@broken("check_card", "limits must be a tuple of texts")
def limits_that_are_one_text(name):
    put(name, limits="It knows nothing.")


# Samples


@broken("check_seed_and_blocks", "The same seed gives other samples", also=ANY)
def sampler_of_the_global_generator(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.net(torch.randn(num, *model.event_shape, dtype=model.dtype))

    put(name, sampler=sampler(trajectory))


@broken("check_seed_and_blocks", "Another seed gives the same samples")
def sampler_that_ignores_its_seed(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield torch.zeros(num, *model.event_shape, dtype=model.dtype)

    put(name, sampler=sampler(trajectory))


@broken("check_samples", "Five samples have shape", also=ANY)
def samples_of_another_shape(name):
    put(name, present=lambda self, state: state.flatten())


@broken("check_samples", "not finite", also=ANY)
def samples_that_are_not_finite(name):
    put(name, present=lambda self, state: state / 0)


@broken("check_samples", "must be 0 or 1")
def binary_samples_that_are_grey(name):
    put(name, families.Autoregressive, present=lambda self, state: 0.5 * state)


@broken("check_samples_are_independent", "BatchNorm")
def batch_statistics_in_sampling(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        noise = torch.randn(num, 3, generator=generator, dtype=model.dtype)
        yield F.batch_norm(model.net(noise), None, None, training=True)

    put(name, sampler=sampler(trajectory))


@broken(
    "check_sampling_leaves_model",
    "Not bit-equal after sampling",
    also=("check_samples_are_independent", "check_save_load", "check_seed_and_blocks"),
)
def batch_norm_that_learns_in_sampling(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        z = torch.randn(num, 2, generator=generator, dtype=model.dtype)
        yield model.train().decode(z)

    put(name, families.GAN, sampler=sampler(trajectory))


@broken("check_trajectory", "yields no state", also=ANY)
def sampler_without_states(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield from ()

    put(name, sampler=sampler(trajectory))


# Learning


@broken(
    "check_losses_move_their_player",
    "the move of 'critic' changes",
    also=("check_accumulation", "check_processes"),
)
def loss_that_touches_another_player(name):
    def losses(self, batch, step):
        for loss in families.Game.losses(self, batch, step):
            if loss.player == "critic":
                with torch.no_grad():
                    next(self.model.parameters()).add_(0.01)
            yield loss

    put_with_loss(name, losses, families.Game, families.GAN)


@broken("check_losses_move_their_player", "model.idle", also=ANY)
def parameter_without_a_gradient(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        self.idle = nn.Parameter(torch.zeros(2))

    put(name, __init__=init)


@broken("check_loss_is_a_mean", "has shape (8,)", also=ANY)
def loss_for_each_row(name):
    def losses(self, batch, step):
        yield genzoo.Loss(self.model.net(batch["x"]).sum(1))

    put_with_loss(name, losses)


@broken("check_loss_is_a_mean", "'size' is no detached scalar")
def metric_with_a_gradient(name):
    def losses(self, batch, step):
        value = self.model.net(batch["x"]).square().mean()
        yield genzoo.Loss(value, metrics={"size": value})

    put_with_loss(name, losses)


@broken(
    "check_state_is_registered",
    "set_process_buffer",
    also=("check_resume_is_exact", "check_processes", "check_float64"),
)
def chains_that_are_not_saved(name):
    def losses(self, batch, step):
        chains = getattr(self, "chains", torch.zeros_like(batch["x"]))
        self.chains = 0.5 * chains + batch["x"]
        yield genzoo.Loss((self.model.net(self.chains) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_resume_is_exact", "after resuming", also=("check_processes", "check_accumulation"))
def counter_that_is_not_saved(name):
    def losses(self, batch, step):
        self.count = getattr(self, "count", 0) + 1
        yield genzoo.Loss(self.count * (self.model.net(batch["x"]) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_processes", "must go by step.slot", also=("check_accumulation",))
def baseline_of_the_rows_before(name):
    def init(self, model, config=None):
        families.LeastSquares.__init__(self, model, config)
        self.register_buffer("baseline", torch.zeros(()))

    def losses(self, batch, step):
        target = 1 + self.baseline
        self.baseline = 0.5 * self.baseline + batch["x"].mean()
        yield genzoo.Loss((self.model.net(batch["x"]) - target).square().mean())

    made = type("Objective", (families.LeastSquares,), {"__init__": init, "losses": losses})
    registry.register("objectives", name)(made)
    put(name, default_stages=classmethod(lambda cls: families.stage(name)))


@broken("check_average_is_published", "averaged weights", also=("check_resume_is_exact",))
def average_that_is_not_taken_over(name):
    def load_state_dict(self, state, strict=True, assign=False):
        kept = state if assign else {**state, "net.bias": self.net.bias.detach().clone()}
        return nn.Module.load_state_dict(self, kept, strict, assign)

    put(name, load_state_dict=load_state_dict)


# Manners


@broken("check_no_side_effects", "deterministic")
def global_flag(name):
    def init(self, config):
        families.Linear.__init__(self, config)
        torch.use_deterministic_algorithms(True)

    put(name, __init__=init)


@broken("check_no_side_effects", "torch generator", also=("check_seed_and_blocks",))
def global_seed(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        torch.manual_seed(0)
        yield model.net(torch.randn(num, 3, generator=generator, dtype=model.dtype))

    put(name, sampler=sampler(trajectory))


@broken("check_no_side_effects", "It prints 'loss 0")
def print_in_training(name):
    def losses(self, batch, step):
        print("loss", step.index)
        yield genzoo.Loss((self.model.net(batch["x"]) - 1).square().mean())

    put_with_loss(name, losses)


@broken("check_no_side_effects", "running threads")
def thread_that_is_left(name):
    def present(self, state):
        LEFT.clear()
        threading.Thread(target=LEFT.wait, name=f"left-{len(THREADS)}", daemon=True).start()
        THREADS.append(name)
        return state

    put(name, present=present)


LEFT = threading.Event()
THREADS = []


@broken("check_no_side_effects", "Replaced for everybody: torch.nn.functional.relu")
def patched_torch(name):
    original = F.relu

    def init(self, config):
        families.Linear.__init__(self, config)
        F.relu = lambda *given, **options: original(*given, **options)

    put(name, __init__=init)


# Numbers


@broken("check_float64", "RuntimeError")
def float32_whatever_the_model_is(name):
    def trajectory(self, model, num, *, start=None, condition=None, generator):
        yield model.net(torch.randn(num, 3, generator=generator))

    put(name, sampler=sampler(trajectory))


@broken("check_autocast", "RuntimeError")
def loss_that_cannot_be_had_in_bfloat16(name):
    def losses(self, batch, step):
        mixed = self.model.net(batch["x"]).lerp(batch["x"], 0.5)
        yield genzoo.Loss((mixed - 1).square().mean())

    put_with_loss(name, losses)


# Capabilities


def estimate(function, kind):
    """A log_likelihood of per-row figures."""

    @torch.no_grad()
    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        return mean_of(function(self, x, generator, num_samples), kind)

    return log_likelihood


@broken("check_likelihood_kind", "what is called 'exact' is too low")
def exact_without_its_constant(name):
    put(name, Exact, log_likelihood=estimate(lambda m, x, g, k: m.log_prob(x) - 0.3, "exact"))


@broken("check_likelihood_kind", "what is called 'exact' is too high")
def density_without_its_constant(name):
    def log_likelihood(self, x, *, condition=None, generator=None, num_samples=None):
        normal = torch.distributions.Normal(0.5, 0.3)
        return mean_of(normal.log_prob(x).sum(1) + 1, "exact")

    put(name, Gaussian, log_likelihood=log_likelihood)


@broken(
    "check_likelihood_kind",
    "what is called 'lower bound' is too high",
    also=("check_bound_tightens",),
)
def bound_on_the_wrong_side(name):
    function = lambda m, x, g, k: 2 * m.log_prob(x) - noisy_bound(m, x, g, k)  # noqa: E731
    put(name, Bound, log_likelihood=estimate(function, "lower bound"))


@broken("check_likelihood_kind", "what is called 'upper bound' is too low")
def upper_bound_that_lies_below(name):
    function = lambda m, x, g, k: m.log_prob(x) - 0.3 + 1 / (k or 100)  # noqa: E731
    put(name, UpperBound, log_likelihood=estimate(function, "upper bound"))


@broken("check_likelihood_kind", "off by more than a nat")
def estimate_that_is_far_off(name):
    function = lambda m, x, g, k: m.log_prob(x) - 2  # noqa: E731
    put(name, Exact, log_likelihood=estimate(function, "stochastic estimate"))


@broken("check_likelihood", "Changed for everybody: torch generator", also=ANY)
def likelihood_that_seeds_everybody(name):
    def log_prob(self, x, generator, num_samples):
        torch.manual_seed(0)
        return self.log_prob(x)

    put(name, Exact, log_likelihood=estimate(log_prob, "exact"))


@broken("check_encode", "It prints 'codes of 8", also=("check_decode",))
def print_in_encoding(name):
    def encode(self, x, *, condition=None):
        print("codes of", len(x))
        return 2 * x

    put(name, Exact, encode=encode)


@broken("check_bound_tightens", "the wrong way")
def bound_that_loosens(name):
    function = lambda m, x, g, k: m.log_prob(x) - 0.01 * (k or 10) - 0.5  # noqa: E731
    put(name, Bound, log_likelihood=estimate(function, "lower bound"))


@broken("check_likelihood", "depends on the generator", also=ANY)
def exact_by_chance(name):
    put(name, Exact, log_likelihood=estimate(noisy_bound, "exact"))


@broken("check_likelihood_is_a_mean", "the mean of the rows' own", also=("check_energy",))
def likelihood_that_is_a_sum(name):
    function = lambda m, x, g, k: m.log_prob(x) * len(x)  # noqa: E731
    put(name, Exact, log_likelihood=estimate(function, "exact"))


@broken("check_energy", "in energy")
def energy_of_another_model(name):
    put(name, Exact, energy=lambda self, x: x.square().sum(1).detach())


@broken("check_capabilities", "is missing")
def half_a_capability(name):
    put(name, needs_data_init=lambda self: False)


@broken("check_capabilities", "does not take that", also=("check_encode", "check_decode"))
def capability_with_other_arguments(name):
    put(name, Exact, encode=lambda self, x: x)


@broken("check_encode", "NotImplementedError", also=("check_decode",))
def capability_that_is_only_declared(name):
    def encode(self, x, *, condition=None):
        raise NotImplementedError

    put(name, Exact, encode=encode)


@broken("check_encode", "depends on other rows")
def code_of_the_whole_batch(name):
    put(name, Exact, encode=lambda self, x, *, condition=None: x - x.mean(0))


@broken("check_decode", "not (8, 4)")
def decoded_to_another_shape(name):
    put(name, Exact, decode=lambda self, z, *, condition=None: z[:, :2])


@broken("check_decode", "nothing says what a code is")
def capability_that_cannot_be_exercised(name):
    put(name, decode=lambda self, z, *, condition=None: z)


@broken("check_filters", "Filters have")
def filters_of_another_shape(name):
    put(name, Exact, filters=lambda self: torch.zeros(3, 5))


@broken("check_completion", "changes what is known")
def completion_that_changes_what_is_known(name):
    def complete(self, x, known, *, generator, num_steps=1000):
        return 1 - x

    put(name, Exact, complete=complete)


@broken("check_data_init", "asks for data again", also=ANY)
def data_init_that_is_forgotten(name):
    def needs_data_init(self):
        return True

    def init_from_data(self, batch, spec):
        pass

    put(name, needs_data_init=needs_data_init, init_from_data=init_from_data)


@broken("check_classify", "do not sum to one")
def scores_that_are_no_probabilities(name):
    put(name, Exact, classify=lambda self, x: x)
