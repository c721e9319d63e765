"""Models kept and shared: saved, loaded, inspected, pulled, pushed, published."""

from genzoo.pretrained.generative_model import GenerativeModel
from genzoo.pretrained.loading import GenModel, create_model, list_models

__all__ = ["GenModel", "GenerativeModel", "create_model", "list_models"]
