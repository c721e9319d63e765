"""Denoising diffusion models for genzoo."""
