"""Models broken on purpose, one fault each, with the check that must name it.

Each function of the modules `broken_*` registers one under its own name, and returns nothing.
``also`` are the checks that the same fault may fail besides.
"""

import broken_capabilities  # noqa: F401  Notes its models.
import broken_configs  # noqa: F401
import broken_learning
import broken_refusals  # noqa: F401
import broken_storing  # noqa: F401
import sound_models
from breaking import ANY, BROKEN

LEFT, SOUND = broken_learning.LEFT, sound_models.SOUND
__all__ = ["ANY", "BROKEN", "LEFT", "SOUND"]
