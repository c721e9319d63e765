"""Models kept and shared: loaded, inspected, pulled, pushed, published."""

from genzoo.pretrained.loading import GenModel

__all__ = ["GenModel"]
