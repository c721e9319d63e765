"""New plugin packages: `genzoo new-plugin NAME`."""

from genzoo.scaffold.making import LICENCES, PARTS, make_plugin

__all__ = ["LICENCES", "PARTS", "make_plugin"]
