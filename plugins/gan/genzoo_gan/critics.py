"""Critics: networks that score examples, higher for real ones."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrizations

from genzoo.plugin import DataError
from genzoo_gan.backbones import SLOPE, TRUNKS
from genzoo_gan.views import View


class Critic(nn.Module, abc.ABC):
    """Abstract base class of critics: a score for each example of a view.

    Attributes:
        packing: The number of examples that are scored together.
    """

    packing: int = 1

    @abc.abstractmethod
    def forward(self, view: View) -> Tensor:
        """Return scores (B,), or one for each pack if examples are scored in packs."""


class NetworkCritic(Critic):
    """D(x, z, y) = ψ(h) + ⟨V y, h⟩, with features h of x, and of z if given.

    The label enters by an inner product with the features (a projection).

    | cGANs with Projection Discriminator (Miyato, Koyama, 2018)
    | Adversarial Feature Learning (Donahue, Krähenbühl, Darrell, 2017)

    Arguments:
        network: The kind of layers for the features of x; a name of ``TRUNKS``.
        event_shape: The shape of one example.
        hidden_dims: The widths or channels of the layers.
        latent_dim: The size of a code; 0 if the critic is not given codes.
        num_classes: The number of labels; 0 without labels.
    """

    def __init__(
        self,
        network: str,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int],
        latent_dim: int = 0,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.trunk = TRUNKS[network](event_shape, hidden_dims)
        size = self.trunk.num_features
        self.joint = _joint(size + latent_dim, size) if latent_dim else None
        self.score = nn.Linear(size, 1)
        self.projection = nn.Linear(num_classes, size, bias=False) if num_classes else None

    def forward(self, view: View) -> Tensor:
        """Return scores (B,)."""
        h = self.trunk(view.x)
        if self.joint is not None and view.z is not None:
            h = self.joint(torch.cat([h, view.z], dim=1))
        scores: Tensor = self.score(h).squeeze(1)
        if self.projection is not None and view.y is not None:
            scores = scores + (h * self.projection(view.y)).sum(1)
        return scores


def _joint(num_inputs: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(num_inputs, num_outputs),
        nn.LeakyReLU(SLOPE),
        nn.Linear(num_outputs, num_outputs),
        nn.LeakyReLU(SLOPE),
    )


class PackedCritic(Critic):
    """Scores m examples together, all real or all fake, so that a lack of variety is visible.

    | PacGAN: The Power of Two Samples in Generative Adversarial Networks
    | (Lin, Khetan, Fanti, Oh, 2018)

    Arguments:
        critic: The critic of packs: m examples, concatenated along their first axis.
        packing: m.
    """

    def __init__(self, critic: Critic, packing: int) -> None:
        super().__init__()
        self.critic, self.packing = critic, packing

    def forward(self, view: View) -> Tensor:
        """Return a score for each pack, (B / m,).

        Raises:
            DataError: B is not a multiple of m.
        """
        num, m = len(view.x), self.packing
        if num % m:
            raise DataError(
                f"{num} examples do not divide into packs of {m}. Give a batch size, for each "
                f"micro-batch of each process, that is a multiple of {m}."
            )
        scores: Tensor = self.critic(view.map(lambda t: t.reshape(num // m, -1, *t.shape[2:])))
        return scores


class ClippedCritic(Critic):
    """A critic whose forward pass clips the parameters to [−c, c].

    The gradient is taken at the clipped parameters. An update may leave the interval; `project`
    then clips the parameters themselves, which can wait until the critic's next move.

    | Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017)

    Arguments:
        critic: The critic.
        bound: c.
    """

    def __init__(self, critic: Critic, bound: float) -> None:
        super().__init__()
        self.critic, self.bound, self.packing = critic, bound, critic.packing

    def forward(self, view: View) -> Tensor:
        """Return the clipped critic's scores."""
        clipped = {n: self._clipped(p) for n, p in self.critic.named_parameters()}
        scores: Tensor = functional_call(self.critic, clipped, (view,))
        return scores

    def _clipped(self, parameter: Tensor) -> Tensor:
        beyond = parameter.detach().clamp(-self.bound, self.bound) - parameter.detach()
        return parameter + beyond

    @torch.no_grad()
    def project(self) -> None:
        """Clip the parameters."""
        for parameter in self.critic.parameters():
            parameter.clamp_(-self.bound, self.bound)


def spectrally_normalised(critic: Critic) -> Critic:
    """Divide every weight matrix by its largest singular value, estimated by power iteration.

    | Spectral Normalization for Generative Adversarial Networks
    | (Miyato, Kataoka, Koyama, Yoshida, 2018)
    """
    for module in list(critic.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            parametrizations.spectral_norm(module)
    return critic
