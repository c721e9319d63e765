"""The client of the Hub: commits and the files of a model. A repository is data, never code."""

from genzoo.hub.reference import Reference, names_repository

__all__ = ["Reference", "names_repository"]
