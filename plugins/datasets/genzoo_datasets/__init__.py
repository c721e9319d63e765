"""Datasets for genzoo whose truth is known, and metrics that recognise what they show."""
