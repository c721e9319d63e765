"""States that are the data, scaled from [0, 1] to [−1, 1]."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import DataInfo, Real, Unit
from genzoo_diffusion.config import with_captions
from genzoo_diffusion.gaussian_path import GaussianPath


class DataStates(GaussianPath, abc.ABC):
    """Abstract base class of models whose states are the data."""

    event_spaces = (Unit, Real)

    @property
    def is_bounded(self) -> bool:
        """Whether the data are in [0, 1], and the states in [−1, 1]."""
        return isinstance(self.event, Unit)

    @property
    def levels(self) -> int | None:
        """The number of grey levels of the data, if they have any."""
        return self.event.levels if isinstance(self.event, Unit) else None

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, and has the words of captions; see `suited`."""
        cls.check_event(info)
        fields = cls.suited(info[cls.event_field].event_shape, overrides)
        values = {**fields, **with_captions(info, conditions, overrides)}
        return super().configure(info, conditions, **values)

    def state(self, x: Tensor) -> Tensor:
        """Scale data (B, *event_shape) to states without noise."""
        return 2 * x - 1 if self.is_bounded else x

    def to_data(self, state: Tensor) -> Tensor:
        """Scale a state to the units of x, in [0, 1] if the data are."""
        return ((state + 1) / 2).clamp(0, 1) if self.is_bounded else state

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 250,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        After each reverse step of `DDPMSampler` the known values are put back with the noise of
        that time, and the rest is corrected by Langevin steps, four on average; see
        `inpainting.Corrected`. The network runs five times for each reverse step: 1,250 times by
        default.

        The draw is approximate, and its error falls with more steps. For a `DDPM` with the exact
        denoiser of
        N(0, [[1, .9], [.9, 1]]) and x_1 = 1.5, on the linear schedule of T = 1000:

        =====================  ====  ========
        x_2                    mean  variance
        =====================  ====  ========
        truth                  1.35  .190
        20 steps               1.24  .197
        50 steps               1.31  .194
        100 steps              1.33  .193
        250 steps              1.34  .192
        1000 steps             1.35  .191
        1000, without Langevin .94   .308
        =====================  ====  ========

        Means of eight of sixteen dimensions, given the others, have errors of at most .05
        conditional standard deviations at 250 steps if the eigenvalues of the covariance are .1 to
        2.7, and of at most .10 if they are .001 to 3.7 (.60 and 1.28 without Langevin steps). The
        bias is largest in the weights of separate modes between which the known values distinguish
        only slightly, since a chain can change the mode only while the noise is large: for N(±(.3,
        1), .04 I) with x_1 = .3 the mode whose weight is .99 gets .75 at 250 steps and .82 at 1000
        (.57 without Langevin steps).

        | Score-Based Generative Modeling through Stochastic Differential Equations
        | (Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, 2021)
        | RePaint: Inpainting using Denoising Diffusion Probabilistic Models
        | (Lugmayr et al., 2022)

        Arguments:
            x: Examples; where the mask is true they may have any values, including NaN.
            mask: Where to fill in, bool, broadcastable to the shape of ``x``.
            generator: The generator of the noise, on the model's device.
            num_inference_steps: The number of reverse steps; T if there are only T times.
            condition: The condition of each row by name, or one for all; None for no condition, if
                the model is trained for that.

        Raises:
            ConditionError: A condition is missing, superfluous or out of range.
            ConfigError: num_inference_steps is less than 1.
            DataError: A value that is kept is not finite or out of the data's range.
            NotFiniteSampleError: The network's predictions are not finite.
        """
        from genzoo_diffusion.inpainting import inpaint

        x, mask = self.checked_inpainting(x, mask)
        if len(x) == 0:
            return x
        return inpaint(self, x, mask, generator, num_inference_steps, condition)
