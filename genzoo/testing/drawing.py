"""Checks of samples: shape, seed, blocks and independence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genzoo import seeds
from genzoo.errors import DataError
from genzoo.pretrained import GenerativeModel
from genzoo.sampling import evaluating, own_sampler, preview_sampler
from genzoo.testing.cases import SEED, Case, demand, demand_equal
from genzoo.values import trusted


def check_samples(case: Case) -> None:
    """Samples have the right number, shape and dtype, are finite, and require no gradient."""
    model = case.model()
    x = model.sample(5, seed=SEED, condition=case.condition(model, 5))
    demand(tuple(x.shape) == (5, *model.event_shape), f"Five samples have shape {tuple(x.shape)}.")
    demand(bool(torch.isfinite(x).all()), "A sample is not finite.")
    demand(not x.requires_grad, "Samples must not require gradients.")
    _demand_preview(case, model)
    if len(case.cls.event_spaces) == 1 and model.event.is_discrete:
        try:
            model.event.require(x, "sample")
        except DataError as error:
            demand(False, f"Samples are not in the model's space: {error}")


def _demand_preview(case: Case, model: Any) -> None:
    """Raise unless the sampler of pictures draws rows that are finite."""
    if case.cls.preview_sampler(model.config) == case.cls.default_sampler(model.config):
        return
    sampler, condition = preview_sampler(model), case.condition(model, 3)
    x = model.sample(3, seed=SEED, condition=condition, sampler=sampler)
    fits = tuple(x.shape) == (3, *model.event_shape) and bool(torch.isfinite(x).all())
    demand(fits, "The sampler of pictures, preview_sampler, draws no finite rows of the event.")


def check_seed_and_blocks(case: Case) -> None:
    """Samples depend on the seed if the sampler is stochastic, not on their number."""
    model = case.model()

    def draw(num: int, seed: int) -> Tensor:
        condition = case.condition(model, num)
        return model.sample(num, seed=seed, batch_size=4, condition=condition)

    demand(torch.equal(draw(5, 1), draw(5, 1)), "The same seed gives other samples.")
    again, random = torch.equal(draw(5, 1), draw(5, 2)), own_sampler(model).is_stochastic
    demand(not (again and random), "Another seed gives the same samples.")
    demand(
        again or random, "Samples depend on the seed, but the sampler says is_stochastic = False."
    )
    many = draw(11, 1)
    for num in (1, 3, 4, 5, 8):
        demand(
            torch.equal(draw(num, 1), many[:num]),
            f"With one seed and batch_size, the first {num} of {num} and of 11 samples differ.",
        )
    torch.rand(7)
    demand(torch.equal(draw(11, 1), many), "Samples depend on the global generator.")


def check_samples_are_independent(case: Case) -> None:
    """A sample does not depend on others in its block, as it would through BatchNorm."""
    model = case.model()
    plain, other = (_block(case, model, _Noise(changed)) for changed in (False, True))
    demand(
        torch.allclose(plain[:-1], other[:-1], rtol=1e-5, atol=1e-6),
        "Samples change with the noise of another sample: batch statistics "
        "(BatchNorm in train mode), or a mean over the block, couple the samples of a block.",
    )


def check_sampling_leaves_model(case: Case) -> None:
    """Sampling changes neither weights nor buffers, and restores the mode."""
    model = case.model().train()
    before = {name: t.clone() for name, t in [*model.named_parameters(), *model.named_buffers()]}
    modes: list[bool] = []
    handles = [
        m.register_forward_pre_hook(lambda m, _: modes.append(m.training)) for m in model.modules()
    ]
    model.sample(3, seed=SEED, condition=case.condition(model, 3))
    for handle in handles:
        handle.remove()
    after = dict([*model.named_parameters(), *model.named_buffers()])
    demand_equal(before, after, "after sampling")
    demand(not any(modes), "A module is in train mode while the model is sampled.")
    demand(all(m.training for m in model.modules()), "Sampling leaves the model in eval mode.")


def check_trajectory(case: Case) -> None:
    """Every state has ``num`` rows, the last one gives the samples, and ``start`` is used."""
    model = case.model()
    sampler, condition = own_sampler(model), case.condition(model, 3)
    with torch.no_grad(), evaluating(model), trusted():
        generator = seeds.generator(SEED)
        states = list(sampler.trajectory(model, 3, condition=condition, generator=generator))
        demand(bool(states), "The sampler yields no state.")
        wrong = [tuple(state.shape) for state in states if len(state) != 3]
        demand(not wrong, f"Of three trajectories, a state has the shape {wrong[:1]}.")
        shown = model.to_data(states[-1])
    drawn = model.sample(3, seed=SEED, condition=condition, sampler=sampler)
    demand(torch.equal(shown, drawn), "sample() is not to_data() of the trajectory's last state.")


@torch.no_grad()
def _block(case: Case, model: GenerativeModel, noise: _Noise) -> Tensor:
    """Return a block of samples, with the noise of the last one unchanged or changed."""
    condition = case.condition(model, _Noise.ROWS)
    with noise:
        return draw_block(model, _Noise.ROWS, condition)


def draw_block(model: GenerativeModel, num: int, condition: dict[str, Any]) -> Tensor:
    """Return one block of samples of a model's own sampler, without the checks of `sample`."""
    with evaluating(model), trusted():
        generator = seeds.generator(SEED, model.device)
        sampler = own_sampler(model)
        state = sampler.sample_state(model, num, condition=condition, generator=generator)
        return model.to_data(state)


class _Noise(TorchFunctionMode):
    """Inside, the last row of all draws for a block can be replaced by the previous row."""

    ROWS = 7  # A number that other dimensions of a sampler are unlikely to have.

    def __init__(self, changed: bool) -> None:
        super().__init__()
        self.changed = changed

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        drawn = (kwargs or {}).get("generator") is not None and isinstance(out, Tensor)
        if self.changed and drawn and out.ndim and len(out) == self.ROWS:
            out[-1] = out[-2].clone()
        return out
