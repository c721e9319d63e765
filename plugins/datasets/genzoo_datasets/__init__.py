"""Datasets for genzoo with known truth, and metrics that recognise their content."""
