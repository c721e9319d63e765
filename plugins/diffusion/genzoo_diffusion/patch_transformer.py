"""The denoiser whose tokens are patches of a state: of an image, of codes, or of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from genzoo.plugin import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.transformer_network import AdaptiveTransformer

_FEW_TOKENS, _MOST_TOKENS = 64, 2**14
_LARGE_SIDE = 8


class PatchTransformer(nn.Module):
    """A transformer over the patches of a state.

    The tokens of an image (C, H, W) are its patches of p × p pixels, those of any other state are
    p consecutive numbers each. A linear layer makes a patch a vector, another one makes the
    vector after the transformer a patch of the prediction. The latter is 0 at first.

    | Scalable Diffusion Models with Transformers (Peebles, Xie, 2023)
    | An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale
    | (Dosovitskiy et al., 2021), for the patches

    Arguments:
        state_shape: The shape of a state.
        patch_size: p, which must divide H and W, or the size of another state.
        width: W, the size of the vector of a patch.
        num_layers: The number of blocks.
        num_heads: The number of heads of attention, which must divide W.
        mlp_ratio: The width of a block's hidden layer, in units of W.
        dropout: The share of values that training sets to zero in what a block adds.
        time_features: Sinusoidal time features, or random Fourier ones.
        num_timesteps: T.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        text_width: D, the size of a text's states; None without texts.

    Attributes:
        input: From patches to vectors.
        transformer: The transformer.
        output: From vectors to patches.

    Raises:
        ConfigError: The patches do not divide a state, or there are more than 2¹⁴.
    """

    def __init__(
        self,
        state_shape: Sequence[int],
        patch_size: int,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        mlp_ratio: int,
        dropout: float,
        time_features: str,
        num_timesteps: int,
        num_classes: int | None,
        text_width: int | None,
    ) -> None:
        super().__init__()
        _check(state_shape, patch_size)
        C, (rows, columns) = _divided(state_shape, patch_size)
        self.cut = (C, rows, patch_size, columns, patch_size if _is_image(state_shape) else 1)
        values, num_tokens = math.prod(state_shape) // (rows * columns), rows * columns
        self.input = nn.Linear(values, width)
        self.transformer = AdaptiveTransformer(
            width=width,
            num_layers=num_layers,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            dropout=dropout,
            num_tokens=num_tokens,
            time_features=time_features,
            num_timesteps=num_timesteps,
            num_classes=num_classes,
            text_width=text_width,
        )
        self.output = nn.Linear(width, values)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.widest = num_tokens * width * max(mlp_ratio, 3)

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, *state_shape) for states (B, *state_shape) at times (B,)."""
        h = self.transformer(self.input(self.patches(x_t)), t, signal)
        return self.state(self.output(h)).reshape(x_t.shape)

    def patches(self, x: Tensor) -> Tensor:
        """Return the patches of states, (B, N, C p²), and (B, N, p) if they are not images."""
        cut = x.reshape(-1, *self.cut)
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def state(self, patches: Tensor) -> Tensor:
        """Return the states of patches, as images (B, C, H, W) or as columns (B, 1, D, 1)."""
        C, rows, height, columns, width = self.cut
        cut = patches.view(-1, rows, columns, C, height, width)
        return cut.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def patch_size_for(shape: Sequence[int]) -> int:
    """Return the smallest patch size that leaves at most 64 tokens of a state.

    Images with sides of at least 8 have patches of at least 2 × 2, since single pixels tell little
    and a step with four times as many tokens takes four times as long. If only the whole state
    has so few tokens, it is the largest patch that is smaller than the state.

    >>> patch_size_for((1, 28, 28)), patch_size_for((3, 32, 32)), patch_size_for((1, 8, 8))
    (4, 4, 2)
    >>> patch_size_for((784,)), patch_size_for((13,)), patch_size_for((1, 31, 31))
    (14, 1, 1)
    """
    sides = _sides(shape)
    whole = math.gcd(*sides)
    low = [p for p in range(1, math.isqrt(whole) + 1) if whole % p == 0]
    sizes = sorted({*low, *(whole // p for p in low)})
    parts = [p for p in sizes if p == 1 or num_tokens(shape, p) > 1]
    least = 2 if _is_image(shape) and min(sides) >= _LARGE_SIDE else 1
    few = (p for p in parts if p >= least and num_tokens(shape, p) <= _FEW_TOKENS)
    return next(few, parts[-1])


def num_tokens(shape: Sequence[int], patch_size: int) -> int:
    """Return the number of patches of a state.

    >>> num_tokens((1, 28, 28), 4), num_tokens((12,), 4)
    (49, 3)
    """
    return math.prod(_divided(shape, patch_size)[1])


def _is_image(shape: Sequence[int]) -> bool:
    return len(shape) == 3


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return what a patch size must divide: H and W of images, else the number of values."""
    return tuple(shape[1:]) if _is_image(shape) else (math.prod(shape),)


def _divided(shape: Sequence[int], patch_size: int) -> tuple[int, tuple[int, int]]:
    """Return the channels, and the rows and columns of patches."""
    rows, *columns = (side // patch_size for side in _sides(shape))
    return shape[0] if _is_image(shape) else 1, (rows, columns[0] if columns else 1)


def _check(shape: Sequence[int], patch_size: int) -> None:
    """Raise ConfigError if patches do not divide a state, or are too many to compare in pairs."""
    if any(side % patch_size for side in _sides(shape)):
        what = "height and width" if _is_image(shape) else "the number of values"
        raise ConfigError(
            f"patch_size = {patch_size} must divide {what} of a state, got "
            f"{' × '.join(map(str, _sides(shape)))}. Give a divisor, or leave it out."
        )
    found = num_tokens(shape, patch_size)
    if found > _MOST_TOKENS:
        raise ConfigError(
            f"A transformer compares all pairs of patches: at most {_MOST_TOKENS:,} are allowed, "
            f"and patch_size = {patch_size} makes {found:,}. Give a larger one, or smaller data."
        )
