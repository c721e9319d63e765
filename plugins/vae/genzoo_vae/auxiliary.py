"""An auxiliary decoder, which a posterior cannot ignore."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from genzoo_vae.latents import LatentModel
from genzoo_vae.likelihoods import make_likelihood, usual
from genzoo_vae.network_values import network_shape
from genzoo_vae.networks import FlatDecoder
from genzoo_vae.posteriors.proposal import Rows

_WIDTH = 200


class AuxiliaryDecoder(nn.Module):
    """w log p_aux(x | z_1), with values of x that are independent given z_1: one hidden layer.

    It belongs to the objective, not to the model.

    | Auxiliary Guided Autoregressive Variational Autoencoders (Lucas, Verbeek, 2018)

    Arguments:
        model: The model of x and z.
        weight: w.
    """

    def __init__(self, model: LatentModel[Any], weight: float) -> None:
        super().__init__()
        size = math.prod(model.families[0].shape)
        self.weight = weight
        self.network = FlatDecoder(size, (_WIDTH,), 0, network_shape(model.event), "relu")
        self.observation = make_likelihood(usual(model.event), model.event)

    def forward(self, rows: Rows, z: Tensor) -> Tensor:
        """Return w log p_aux(x | z_1), (K, B), for values z_1 (K, B, *shape)."""
        num, size = z.shape[:2]
        outputs: Tensor = self.network(z.reshape(num * size, -1))
        log_p = self.observation.log_prob(outputs.view(num, size, *outputs.shape[1:]), rows.x)
        return self.weight * log_p
