"""New plugin packages: `genzoo new-plugin NAME`."""

from genzoo.scaffold.making import LICENCES, make_plugin

__all__ = ["LICENCES", "make_plugin"]
