"""Normalising flows of zuko, as models of genzoo."""
