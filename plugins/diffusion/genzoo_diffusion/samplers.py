"""The samplers of diffusions and of flows, which are defined in files of their own."""

from genzoo_diffusion.adaptive import Adaptive, AdaptiveConfig
from genzoo_diffusion.ancestral import DDPMConfig, DDPMSampler
from genzoo_diffusion.denoise import Denoise, ReverseSteps, StepsConfig
from genzoo_diffusion.dpm_solver import DPMSolver, DPMSolverConfig
from genzoo_diffusion.implicit import DDIM, DDIMConfig
from genzoo_diffusion.ode_samplers import Euler, Heun, HeunConfig, Midpoint, MidpointConfig

__all__ = [
    "DDIM",
    "Adaptive",
    "AdaptiveConfig",
    "DDIMConfig",
    "DDPMConfig",
    "DDPMSampler",
    "DPMSolver",
    "DPMSolverConfig",
    "Denoise",
    "Euler",
    "Heun",
    "HeunConfig",
    "Midpoint",
    "MidpointConfig",
    "ReverseSteps",
    "StepsConfig",
]
