"""FID and KID: the distances of Inception's features."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate
from genzoo.evaluation.features import Extractor, compared_by
from genzoo.evaluation.frechet import frechet
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.mmd import kernel_distance
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.spaces import Binary, Unit

NAME = "inception-v3-compat"


@dataclass(frozen=True, kw_only=True)
class InceptionConfig(Config):
    """The distances of Inception's features."""

    num_halvings: Annotated[int, Bounds(2, 10**5)] = 10
    """The number of random halvings of the rows, for FID's error; each takes some seconds."""


class InceptionDistance(Metric[InceptionConfig]):
    """FID and KID, of the 2048 features of the Inception network of 2015, by torch-fidelity.

    Grey images get three equal channels. It has not been run with the real weights, which
    torch-fidelity downloads and which were not available to the authors. It is computed only if it
    is named.

    | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium
    | (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)
    | Demystifying MMD GANs (Bińkowski, Sutherland, Arbel, Gretton, 2018)
    """

    Config = InceptionConfig
    spaces = (Unit, Binary)
    min_examples = 100
    is_default = False
    goals: ClassVar = {"fid": Goal("lower", "reference"), "kid": Goal("lower", "reference")}

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        shape = data.info["x"].event_shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            return f"it is for images of one or three channels, not data of shape {shape}"
        if importlib.util.find_spec("torch_fidelity") is None:
            return "torch-fidelity is not installed. Try: pip install 'genzoo[inception]'"
        return super().unavailable_reason(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return both distances of the samples."""
        compared = compared_by(case, _inception(case.model.device))
        seed = case.generator.initial_seed()
        fid = frechet(compared, self.config.num_halvings, seed)
        return {"fid": fid, "kid": kernel_distance(compared, seed=seed)}


def _inception(device: torch.device) -> Extractor:
    from torchmetrics.image.fid import NoTrainInceptionV3

    net: Any = NoTrainInceptionV3(name=NAME, features_list=["2048"]).to(device)

    def features(x: Tensor) -> Tensor:
        shown: Tensor = net((x.clamp(0, 1) * 255).byte().expand(-1, 3, -1, -1))
        return shown

    return Extractor(NAME, _sha256(net), features, device)


def _sha256(net: torch.nn.Module) -> str:
    """Return the hash of a network's weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
