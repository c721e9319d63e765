"""How fast a VAE trains through the Trainer, compared with a hand-written loop and pythae.

784-400-20 units, batches of 128, the binarised MNIST; equal threads, float32. The loop by hand
is the one that a tutorial has, without a log, a checkpoint or a look at whether the loss is
finite; it is timed with torch's default Adam and with its fused one, which genzoo takes.

Usage: python benchmarks/vae_training_speed.py [--threads 1] [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import statistics
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from binarized_mnist import prepare
from timing import circumstances, in_turn, ratio, say
from torch import Tensor, nn

import genzoo
import genzoo.plugin

ROWS, BATCH, HIDDEN, LATENT = 50_000, 128, 400, 20
Run = Callable[[], object]


class Net(nn.Module):
    """The same net by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 40))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784))

    def forward(self, x: Tensor) -> Tensor:
        """Return the negative evidence lower bound of rows (B, 784)."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        cost = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (cost + kl) / len(x)


def by_hand(x: Tensor, *, fused: bool) -> Run:
    """Return a function that makes one epoch as a tutorial does."""

    def run() -> None:
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
        order = torch.randperm(len(x))
        for step in range(len(x) // BATCH):
            rows = x.index_select(0, order[step * BATCH : (step + 1) * BATCH]).float()
            optimizer.zero_grad()
            loss = net(rows)
            loss.backward()
            optimizer.step()
            loss.item()

    return run


def through_the_trainer(data: genzoo.plugin.Dataset, threads: int) -> Run:
    """Return a function that makes one epoch as `genzoo train` does."""

    def run() -> None:
        model = genzoo.create_model(
            "vae",
            event=genzoo.Binary(shape=(1, 28, 28)),
            latent_dim=LATENT,
            hidden_dims=(HIDDEN,),
        )
        config = genzoo.TrainerConfig(
            max_steps=ROWS // BATCH, batch_size=BATCH, threads=threads, progress=False
        )
        stage = genzoo.Stage(objective=genzoo.Component(name="elbo"))
        genzoo.Trainer(model, data, stage, config).fit()

    return run


def pythae(x: np.ndarray, threads: int) -> Run:
    """Return a function that makes one epoch of the same net with pythae's trainer."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.hidden = nn.Sequential(nn.Linear(784, HIDDEN), nn.ReLU())
            self.mean, self.log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

        def forward(self, x: Tensor) -> ModelOutput:
            h = self.hidden(x.flatten(1))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.layers = nn.Sequential(
                nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784), nn.Sigmoid()
            )

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

    rows = BaseDataset(torch.from_numpy(x).float(), torch.zeros(len(x)))

    def run() -> None:
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
        training = BaseTrainerConfig(
            num_epochs=1, per_device_train_batch_size=BATCH, learning_rate=1e-3, no_cuda=True
        )
        quiet = (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        )
        with quiet[0], quiet[1]:
            trainer = BaseTrainer(VAE(config, Encoder(), Decoder()), rows, None, training)
            trainer.prepare_training()
            trainer.train_step(epoch=1)

    return run


def main() -> None:
    """Print samples per second, and ratios of times within one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    with np.load(prepare()) as arrays:
        rows = arrays["train"][:ROWS]
    flat = torch.from_numpy(rows).flatten(1)
    ours = "genzoo"
    functions = {
        ours: through_the_trainer(genzoo.load_dataset(str(prepare())), given.threads),
        "by hand, fused Adam": by_hand(flat, fused=True),
        "by hand, default Adam": by_hand(flat, fused=False),
        "pythae": pythae(rows, given.threads),
    }
    seconds = in_turn(functions, given.rounds)
    say(
        circumstances(given.threads),
        f"samples per second in the median and in the best of {given.rounds} rounds, and how many",
        "times as long as genzoo it took, round by round: median and range",
    )
    for name, values in seconds.items():
        median, best = ROWS / statistics.median(values), ROWS / min(values)
        say(f"  {name:<22} {median:>8,.0f} {best:>8,.0f}   {ratio(seconds, name, ours)}")


if __name__ == "__main__":
    main()
