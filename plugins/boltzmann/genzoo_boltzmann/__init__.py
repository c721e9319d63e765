"""Boltzmann machines for genzoo."""
