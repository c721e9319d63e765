"""A step of training with each gradient estimator, compared with the same step by hand.

The steps by hand are plain torch: a sigmoid belief network 200-784 for discrete draws, a VAE
784-200-50 for continuous ones, fused Adam, the loss of every step read. Each pair trains both from
the start, the first one changing from pair to pair, and gives one ratio of CPU times after the
first 50 updates, which contain what a training does once; --whole counts these and the start too.
Printed are the median and its 95 % interval from the order statistics.

Usage: python benchmarks/estimator_step_pairs.py [--pairs 30] [--only NAME...] [--whole]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from step_time_pairs import interval
from timing import circumstances, say
from torch import Tensor, nn

import genzoo
from genzoo.data import from_array
from genzoo.training.callbacks import Callback, TrainerState

Timed = Callable[[], float]

ROWS, SIZE, HIDDEN, LATENT, BATCH, SEED = 45_000, 784, 200, 50, 100, 0
SKIPPED, STEPS = 50, 450
DRAWS = 5


def bernoulli(logits: Tensor, values: Tensor) -> Tensor:
    """Return log p of zeros and ones, summed over units."""
    return -F.binary_cross_entropy_with_logits(logits, values, reduction="none").sum(-1)


def linear_log_prob(logits: Tensor, h: Tensor) -> Tensor:
    """Return log p, extended linearly to relaxed values."""
    return (h * logits).sum(-1) - F.softplus(logits).sum(-1)


def logistic(like: Tensor) -> Tensor:
    """Draw logistic noise."""
    u = torch.rand_like(like).clamp_min(1e-38)
    return u.log() - torch.log1p(-u)


class Belief(nn.Module):
    """A sigmoid belief network by hand; subclasses have the loss of an estimator."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(SIZE, HIDDEN), nn.Linear(HIDDEN, SIZE)
        self.prior = nn.Parameter(torch.zeros(HIDDEN))
        self.mean = torch.zeros(2)

    def log_p(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | h)."""
        return bernoulli(self.down(2 * h - 1), x.expand(*h.shape[:-1], SIZE))

    def kl(self, q: Tensor) -> Tensor:
        """Return the KL term."""
        prior = self.prior
        inner = q.sigmoid() * (q - prior)
        return (inner - F.softplus(q) + F.softplus(prior)).mean(0).sum()

    def running(self, reward: Tensor) -> Tensor:
        """Return the running mean of earlier rewards, and take in this one."""
        old = self.mean
        self.mean = 0.9 * old + 0.1 * torch.stack([reward.mean(), torch.ones(())])
        return old[0] / old[1].clamp_min(1e-30)


class Score(Belief):
    """The score function with a running mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1)
        h = (torch.rand_like(q) < q.sigmoid()).float()
        f = self.log_p(h, x)
        reward = f.detach()
        score = (reward - self.running(reward)) * bernoulli(q, h)
        loss: Tensor = -(f + score).mean() + self.kl(q)
        return loss


class InputDependent(Belief):
    """The score function with a function of x."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(SIZE, 100), nn.Tanh(), nn.Linear(100, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1)
        h = (torch.rand_like(q) < q.sigmoid()).float()
        f = self.log_p(h, x)
        reward = f.detach()
        b = self.running(reward) + self.net(x)[:, 0]
        score = (reward - b.detach()) * bernoulli(q, h)
        loss: Tensor = -(f + score).mean() + self.kl(q) + 0.5 * (reward - b).square().mean()
        return loss


class Vimco(Belief):
    """The importance-weighted bound of five draws with VIMCO's baseline."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1).expand(DRAWS, -1, -1)
        h = (torch.rand_like(q) < q.sigmoid()).float()
        log_q = bernoulli(q, h)
        f = self.log_p(h, x) + bernoulli(self.prior.expand_as(h), h) - log_q
        bound, fixed = f.logsumexp(0) - math.log(DRAWS), f.detach()
        others = (fixed.sum(0) - fixed) / (DRAWS - 1)
        eye = torch.eye(DRAWS, dtype=torch.bool)[..., None]
        left_out = torch.where(eye, others[:, None], fixed[None]).logsumexp(1) - math.log(DRAWS)
        loss: Tensor = -(bound + ((bound.detach() - left_out) * log_q).sum(0)).mean()
        return loss


class Gumbel(Belief):
    """Relaxed draws."""

    def value(self, g: Tensor) -> Tensor:
        """Return h for perturbed logits."""
        return g.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1)
        loss: Tensor = -self.log_p(self.value(q + logistic(q)), x).mean() + self.kl(q)
        return loss


class StraightThroughGumbel(Gumbel):
    """Discrete draws with the gradient of relaxed ones."""

    def value(self, g: Tensor) -> Tensor:
        """Return h for perturbed logits."""
        soft = g.sigmoid()
        return (g.detach() > 0).float() + (soft - soft.detach())


class StraightThrough(Belief):
    """Discrete draws with the gradient of their mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1)
        p = q.sigmoid()
        h = (torch.rand_like(q) < p.detach()).float() + (p - p.detach())
        loss: Tensor = -self.log_p(h, x).mean() + self.kl(q)
        return loss


class Rebar(Belief):
    """A relaxed control variate."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.zeros(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        q = self.up(2 * x - 1)
        leaf = q.detach().requires_grad_()
        g = leaf + logistic(leaf)
        h, noise = (g.detach() > 0).float(), logistic(leaf)
        above = F.softplus(noise + F.softplus(leaf))
        again = torch.where(h > 0.5, above, -F.softplus(noise + F.softplus(-leaf)))
        c, c_again = (self.log_p((each / 0.5).sigmoid(), x) for each in (g, again))
        f, log_q = self.log_p(h, x), bernoulli(leaf, h)
        (of_f,) = torch.autograd.grad((f.detach() * log_q).sum(), leaf, retain_graph=True)
        difference = (c - c_again).sum() - (c_again.detach() * log_q).sum()
        (of_c,) = torch.autograd.grad(difference, leaf, retain_graph=True)
        old = self.kept
        now = torch.stack([-(of_f * of_c).sum(), (of_c * of_c).sum()])
        self.kept = 0.99 * old + 0.01 * now
        eta = torch.where(old[1] > 0, old[0] / old[1], torch.ones(()))
        surrogate = f.sum() + ((of_f + eta * of_c) * q).sum()
        loss: Tensor = -surrogate / len(x) + self.kl(q)
        return loss


class Normal(nn.Module):
    """A VAE by hand; subclasses have the loss of an estimator."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Linear(SIZE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.down = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIZE))

    def log_p(self, z: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z)."""
        return bernoulli(self.down(z), x.expand(*z.shape[:-1], SIZE))

    def log_w(self, z: Tensor, mean: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:
        """Return log p(x, z) − log q(z)."""
        squares = ((z - mean) * (-0.5 * log_variance).exp()).square() + log_variance
        return self.log_p(z, x) + 0.5 * (squares - z.square()).sum(-1)


class Reparameterised(Normal):
    """The evidence bound with its closed KL term."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        mean, log_variance = self.up(x).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0).sum()
        loss: Tensor = kl - self.log_p(z, x).mean()
        return loss


class StickingTheLanding(Normal):
    """The path alone."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        mean, log_variance = self.up(x).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        loss: Tensor = -self.log_w(z, mean.detach(), log_variance.detach(), x).mean()
        return loss


class Dreg(Normal):
    """The doubly reparameterised gradient of five draws."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        mean, log_variance = self.up(x).chunk(2, 1)
        z: Any = mean + (0.5 * log_variance).exp() * torch.randn(DRAWS, *mean.shape)
        f = self.log_w(z, mean.detach(), log_variance.detach(), x)
        weights = f.detach().softmax(0)
        z.register_hook(lambda grad: grad * weights[..., None])
        loss: Tensor = -(f.logsumexp(0) - math.log(DRAWS)).mean()
        return loss


SCORE = "score-function"
STEPS_BY_HAND: Mapping[str, tuple[type[nn.Module], str, Mapping[str, Any]]] = {
    "score-function": (Score, "elbo", {"name": SCORE}),
    "score-function, input-dependent": (
        InputDependent,
        "elbo",
        {"name": SCORE, "config": {"baseline": "input-dependent"}},
    ),
    "score-function, VIMCO": (
        Vimco,
        "iwae",
        {"name": SCORE, "config": {"baseline": "leave-one-out"}},
    ),
    "rebar": (Rebar, "elbo", {"name": "rebar"}),
    "gumbel-softmax": (Gumbel, "elbo", {"name": "gumbel-softmax"}),
    "straight-through-gumbel": (
        StraightThroughGumbel,
        "elbo",
        {"name": "straight-through-gumbel"},
    ),
    "straight-through": (StraightThrough, "elbo", {"name": "straight-through"}),
    "reparameterised": (Reparameterised, "elbo", {"name": "reparameterised"}),
    "sticking-the-landing": (StickingTheLanding, "elbo", {"name": "sticking-the-landing"}),
    "doubly-reparameterised": (Dreg, "iwae", {"name": "doubly-reparameterised"}),
}


class Clock(Callback):
    """Reads the processor's time after the updates that are skipped."""

    def __init__(self) -> None:
        self.began = 0.0

    def on_step(self, state: TrainerState, row: Any) -> None:
        """Read the time."""
        if state.step == SKIPPED:
            self.began = time.process_time()


def by_hand(make: Callable[[], nn.Module], x: Tensor, *, whole: bool) -> Timed:
    """Return a function that trains by hand and returns its CPU seconds."""

    def run() -> float:
        began = time.process_time()
        net = make()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
        for step in range(STEPS):
            if step == SKIPPED and not whole:
                began = time.process_time()
            rows = x[order[step * BATCH : (step + 1) * BATCH]].float()
            optimizer.zero_grad()
            loss = net(rows)
            loss.backward()
            optimizer.step()
            loss.item()
        return time.process_time() - began

    return run


def through_the_trainer(name: str, x: Tensor, *, whole: bool) -> Timed:
    """Return a function that trains by `genzoo.Trainer` and returns its CPU seconds."""
    net, objective, estimator = STEPS_BY_HAND[name]
    data, event = from_array(x, "bits"), genzoo.Binary(shape=(SIZE,))

    def run() -> float:
        began, clock = time.process_time(), Clock()
        if issubclass(net, Belief):
            model = genzoo.create_model("sbn", event=event, hidden_dims=(HIDDEN,))
        else:
            model = genzoo.create_model(
                "vae", event=event, latent_dim=LATENT, hidden_dims=(HIDDEN,)
            )
        config = genzoo.TrainerConfig(
            max_steps=STEPS, batch_size=BATCH, threads=1, progress=False, sample_steps=0
        )
        values = {"estimator": dict(estimator)}
        stage = genzoo.Stage(objective=genzoo.Component(name=objective, config=values))
        genzoo.Trainer(model, data, stage, config, callbacks=[] if whole else [clock]).fit()
        return time.process_time() - (began if whole else clock.began)

    return run


def main() -> None:
    """Print the ratio of each estimator."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=STEPS_BY_HAND, default=list(STEPS_BY_HAND))
    parser.add_argument("--whole", action="store_true", help="count the start too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.pairs} pairs, CPU time, genzoo / by hand")
    x = (torch.rand(ROWS, SIZE) < 0.15).to(torch.uint8)
    for name in given.only:
        make: Callable[[], nn.Module] = STEPS_BY_HAND[name][0]
        runs = (
            through_the_trainer(name, x, whole=given.whole),
            by_hand(make, x, whole=given.whole),
        )
        for run in runs:
            run()
        ratios = []
        for pair in range(given.pairs):
            first = pair % 2
            times = {which: runs[which]() for which in (first, 1 - first)}
            ratios.append(times[0] / times[1])
        low, high = interval(ratios)
        say(f"{name:<32} {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
