"""The log-density of a flow, by its differential equation."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from genzoo.plugin import CapabilityError, LogProb, Note, by_blocks, evaluating, fresh_generator
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.runge_kutta import METHODS, State, Tableau, equal_times, solved

if TYPE_CHECKING:
    from genzoo_diffusion.rectified_flow import RectifiedFlow

Field = Callable[[Tensor, Tensor], Tensor]
"""u(x, t): the velocity (B, *state_shape) of states at times (B,)."""
_ROWS = 512
_COMPARED = 64
"""The number of rows with which the steps are checked by twice as many."""
_TOLERATED, _SHARE = 0.1, 1e-3
"""The change in nats, and the share of the mean, that twice as many steps may make."""
_ENOUGH = 10
"""Fewer steps are unreliable where gradients are enabled and nothing is checked."""


def log_density(
    model: RectifiedFlow,
    x: Tensor,
    signal: Signal,
    generator: torch.Generator | None,
    num_draws: int,
) -> LogProb:
    """Return log p of each row (N, *event_shape); see `RectifiedFlow.log_prob`.

    Arguments:
        model: The flow.
        x: The rows, checked.
        signal: The signal of their conditions.
        generator: The generator of noise and directions; a new one by default.
        num_draws: The number of draws for each row; an exact density needs one.

    Raises:
        CapabilityError: Inference mode is on.
    """
    if torch.is_inference_mode_enabled():
        raise CapabilityError(
            "The likelihood of a flow needs derivatives, which torch.inference_mode() forbids. "
            "Use torch.no_grad()."
        )
    if generator is None:
        generator = fresh_generator(model.device)
    exact = model.log_prob_kind == "exact"
    num = 1 if exact else num_draws
    errors = torch.zeros(len(x), dtype=torch.float64)

    def values(rows: slice) -> Tensor:
        draws = _draws(model, x[rows], signal.rows(rows), generator, num, _steps(model))
        if num > 1:
            errors[rows] = (draws.detach().std(0) / math.sqrt(num)).double().cpu()
        return draws.mean(0)

    with evaluating(model):
        found = by_blocks(values, len(x), max(1, _ROWS // (1 if exact else 2)))
        notes = _notes(model, x, signal, generator)
    return LogProb(
        values=found,
        kind=model.log_prob_kind,
        measure="mass" if model.levels is not None else "density",
        std_errors=None if num == 1 else errors.to(found),
        notes=notes,
        provenance={
            "method": model.config.likelihood_method,
            "steps": _steps(model),
            "divergence": "exact" if model.has_exact_divergence else "random directions",
            "draws": num,
        },
    )


def _steps(model: RectifiedFlow) -> int:
    return model.config.likelihood_steps or 1


def _draws(
    model: RectifiedFlow,
    x: Tensor,
    signal: Signal,
    generator: torch.Generator,
    num: int,
    num_steps: int,
) -> Tensor:
    """Return ``num`` draws of log p of rows (B, *event_shape) in the units of x, (num, B)."""
    x = x.to(model.device, model.dtype)
    D, levels = model.event.num_dims, model.levels
    # A state is 2x − 1. A level is 1 / (L − 1) wide: its mass is that width times the density.
    unit = D * math.log(2) if model.is_bounded else 0.0
    unit -= 0.0 if levels is None else D * math.log(levels - 1)

    def field(x_t: Tensor, t: Tensor) -> Tensor:
        return model.predict(x_t, t, signal)

    directions = None if model.has_exact_divergence else generator
    method = METHODS[model.config.likelihood_method]
    found = []
    for _ in range(num):
        x_0 = model.training_state(x, generator)
        x_1, change = transported(field, x_0, method, num_steps, directions)
        found.append(model.standard_log_density(x_1) + change + unit)
    return torch.stack(found)


def transported(
    field: Field,
    x_0: Tensor,
    method: Tableau,
    num_steps: int,
    directions: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return x_1 and ∫₀¹ ∇·u(x_t, t) dt, (B,), of states x_0 (B, *state_shape).

    Arguments:
        field: The velocity.
        x_0: The states at t = 0.
        method: The Runge-Kutta method.
        num_steps: The number of steps; see `likelihood_times`.
        directions: The generator of a random direction for each evaluation; None for the exact
            divergence.
    """

    def slopes(y: State, t: float) -> State:
        times = x_0.new_full((len(x_0),), t)
        return with_divergence(field, y[0], times, directions)

    start = (x_0, x_0.new_zeros(len(x_0)))
    x_1, total = solved(slopes, start, method, likelihood_times(num_steps))
    return x_1, total


def likelihood_times(num_steps: int) -> list[float]:
    """Return the ends of steps from 0 to 1, (i / S)²: short near data, where velocities change.

    >>> likelihood_times(4)
    [0.0, 0.0625, 0.25, 0.5625, 1.0]
    """
    return [u * u for u in equal_times(0.0, 1.0, num_steps)]


def with_divergence(
    field: Field, x: Tensor, t: Tensor, directions: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Return u(x, t) and its divergence, (B,): exact, or vᵀ (∂u/∂x) v of random signs v.

    | A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines
    | (Hutchinson, 1990)
    """
    graph = torch.is_grad_enabled()
    # Faster kernels of attention have no second derivative.
    kernel = sdpa_kernel(SDPBackend.MATH) if graph else nullcontext()
    with torch.enable_grad(), kernel:
        x = x if graph and x.requires_grad else x.detach().requires_grad_()
        u = field(x, t)
        if directions is None:
            found = _exact(u, x, graph)
        else:
            sign = torch.randint(
                2, x.shape, generator=directions, device=x.device, dtype=torch.int8
            )
            v = 2 * sign.to(x.dtype) - 1
            (pulled,) = torch.autograd.grad(u, x, v, create_graph=graph)
            found = (pulled * v).flatten(1).sum(1)
    return (u, found) if graph else (u.detach(), found.detach())


def _exact(u: Tensor, x: Tensor, graph: bool) -> Tensor:
    """Return Σ_d ∂u_d / ∂x_d, (B,)."""
    values, total = u.flatten(1), x.new_zeros(len(x))
    for d in range(values.shape[1]):
        (gradient,) = torch.autograd.grad(
            values[:, d].sum(), x, retain_graph=True, create_graph=graph
        )
        total = total + gradient.flatten(1)[:, d]
    return total


def _notes(
    model: RectifiedFlow, x: Tensor, signal: Signal, generator: torch.Generator
) -> tuple[Note, ...]:
    """Return how the equation was solved, and what twice as many steps would change.

    The note is unreliable if that is more than the figure's use allows, or if it is not known.
    """
    num, method = _steps(model), model.config.likelihood_method
    text = f"Of the flow's differential equation, solved by {method} in {num} steps"
    rows = slice(0, min(len(x), _COMPARED))
    change = math.nan
    if len(x) and not torch.is_grad_enabled():
        state, means = generator.get_state(), []
        for steps in (num, 2 * num):
            generator.set_state(state)
            draws = _draws(model, x[rows], signal.rows(rows), generator, 1, steps)
            means.append(draws.mean().item())
        change = means[1] - means[0]
        text += f"; twice as many change the mean of {rows.stop} rows by {change:+.2g} nats"
        unreliable = not abs(change) <= _TOLERATED + _SHARE * abs(means[1])
    else:
        unreliable = num < _ENOUGH
    texts = [text + "."]
    if unreliable:
        texts.append("Give --model.likelihood-steps more steps, or train the flow for longer.")
    if not model.has_exact_divergence:
        texts.append("The divergence is estimated by random directions, without bias.")
    if model.levels is not None:
        texts.append("A lower bound on the probability of grey levels, by uniform noise.")
    return (Note("flow", " ".join(texts), unreliable=unreliable),)
