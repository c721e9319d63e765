"""Saving and sharing models: save, load, inspect, pull, push, publish."""

from genzoo.pretrained.generative_model import GenerativeModel
from genzoo.pretrained.loading import GenModel, create_model, list_models

__all__ = ["GenModel", "GenerativeModel", "create_model", "list_models"]
