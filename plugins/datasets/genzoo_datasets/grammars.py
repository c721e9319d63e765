"""The grammars of captions of MNIST and Fashion-MNIST.

Each row shows one article, or one digit, so captions name one.
"""

from __future__ import annotations

_DIGITS = "zero|one|two|three|four|five|six|seven|eight|nine"
_ARTICLES = (
    "a t-shirt|trousers|a pullover|a dress|a coat|a sandal|a shirt|a sneaker|a bag|an ankle boot"
)
_NOUNS = _ARTICLES.replace("an ", "").replace("a ", "")

DIGIT_CAPTIONS = (
    f"a handwritten {{label={_DIGITS}}}",
    f"the digit {{label={_DIGITS}}}",
    f"the number {{label={_DIGITS}}} written by hand",
    f"{{label={_DIGITS}}}",
)
FASHION_CAPTIONS = (
    f"a photo of {{label={_ARTICLES}}}",
    f"a black and white picture of {{label={_ARTICLES}}}",
    f"{{label={_ARTICLES}}}",
    f"{{label={_NOUNS}}}",
)
