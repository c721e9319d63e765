"""The coupling by optimal transport on a ring whose points have labels: labels kept, fewer steps.

A flow given the label of `ring` trains for two CPU minutes with each coupling: independent, by
optimal transport among rows of equal labels, and, for comparison, by one that ignores
labels, which genzoo refuses for a model with conditions. Printed are, for some numbers of Euler
steps, the share of samples within three standard deviations of the mode of their label; the
straightness of paths, E ‖(x_1 − x_0) − u(x_t, t)‖² along them (0 for straight ones), and the
updates.

Usage: python benchmarks/conditional_ring.py [--seeds 0 1 2] [--minutes 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch
from flows_in_the_plane import fitted, steps_of
from timing import circumstances, say
from torch import Tensor

import genzoo
from genzoo import registry
from genzoo_diffusion.couplings import OptimalTransport

PER_LABEL, STEPS, FINE = 500, (1, 2, 4, 8, 50), 50
COUPLINGS = ("independent", "optimal-transport", "ignoring-labels")


class IgnoringLabels(OptimalTransport):
    """Optimal transport over all rows, which claims to keep conditions."""

    def couple(self, x_0: Tensor, epsilon: Tensor, conditions: Mapping[str, object]) -> Tensor:
        """Return the permuted noise."""
        return super().couple(x_0, epsilon, {})


def euler(model: genzoo.GenerativeModel, labels: Tensor, steps: int) -> list[Tensor]:
    """Return the states of Euler's method, the noise first."""
    cls = registry.load("samplers", "euler")
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(len(labels), 2, generator=generator)
    sampler = cls(cls.Config(num_inference_steps=steps))
    conditions = {"label": labels}
    path = sampler.trajectory(
        model, len(labels), start=noise, condition=conditions, generator=generator
    )
    return [noise, *path]


@torch.no_grad()
def row(model: genzoo.GenerativeModel) -> str:
    """Return the shares of samples at the mode of their label, and the straightness."""
    mixture = genzoo.load_dataset("ring", "test").info.mixture["x"]
    labels = torch.arange(len(mixture.means)).repeat_interleave(PER_LABEL)
    shares = []
    for steps in STEPS:
        distance = (euler(model, labels, steps)[-1] - mixture.means[labels]).norm(dim=1)
        shares.append(f"{(distance < 3 * mixture.sigma).double().mean():.3f}")
    path = torch.stack(euler(model, labels, FINE))
    # A step of Euler's method is −u / S; a straight path goes from x_1 to x_0 at constant speed.
    bends = (FINE * path.diff(dim=0) - (path[-1] - path[0])).square().sum(2).mean()
    return " | ".join([*shares, f"{bends:.3f}"])


def main() -> None:
    """Print a row for each coupling and seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    registry.register("genzoo_diffusion.couplings", "ignoring-labels")(IgnoringLabels)
    data = genzoo.load_dataset("ring", "train")
    say(circumstances(1), f"{given.minutes:g} CPU minutes; {PER_LABEL} samples of each label")
    titles = " | ".join(f"{steps} steps" for steps in STEPS)
    say(f"| coupling | seed | updates | CPU-s | {titles} | bend |")
    say("| --- " * (5 + len(STEPS)) + "|")
    for coupling in COUPLINGS:
        for seed in given.seeds:
            torch.manual_seed(seed)
            model = genzoo.create_model("rectified-flow", data=data, conditions=("label",))
            steps = steps_of(model, data, coupling, given.minutes)
            seconds = fitted(model, data, coupling, steps, seed)
            say(f"| {coupling} | {seed} | {steps} | {seconds:.0f} | {row(model.eval())} |")


if __name__ == "__main__":
    main()
