"""Variational autoencoders for genzoo."""
