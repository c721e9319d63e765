"""Angles as a kind of data for genzoo: a space, a model, a dataset and a metric."""
