"""Autoregressive models for genzoo: exact likelihoods, one place after another."""
