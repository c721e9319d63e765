"""The Hub's client: commits, and the files of a model in one. A repository is data, never code."""

from genzoo.hub.reference import Reference, names_repository

__all__ = ["Reference", "names_repository"]
