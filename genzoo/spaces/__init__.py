"""Spaces: descriptions of data and conditions that can be checked, stored and extended."""

from __future__ import annotations

from genzoo.spaces.binary import Binary
from genzoo.spaces.categorical import Categorical
from genzoo.spaces.label import Label
from genzoo.spaces.real import Real
from genzoo.spaces.shaped import Shaped
from genzoo.spaces.space import Space
from genzoo.spaces.text import Text
from genzoo.spaces.unit import Unit

__all__ = ["Binary", "Categorical", "Label", "Real", "Shaped", "Space", "Text", "Unit"]
