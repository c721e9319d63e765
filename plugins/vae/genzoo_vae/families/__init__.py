"""Distributions of latents: continuous families with differentiable draws, and discrete ones."""
