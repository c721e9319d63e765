"""The embedded dataset: 1,797 handwritten digits of 8 × 8 pixels."""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch

from genzoo.data.config import DataConfig
from genzoo.data.dataset import ArrayDataset, Dataset, DataSource
from genzoo.data.fields import image_fields
from genzoo.spec import DataInfo

_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine"
_ROWS = {"train": slice(0, 1500), "test": slice(1500, 1797)}


class Digits(DataSource[DataConfig]):
    """Handwritten digits in 17 grey levels, divided by 16; rows 0–1499 and 1500–1796.

    | Optical Recognition of Handwritten Digits (Alpaydin, Kaynak, 1998), UCI Machine Learning
    | Repository, https://doi.org/10.24432/C50P49, CC BY 4.0: its test set, as scikit-learn has it
    """

    Config = DataConfig
    grammar = (
        f"a handwritten {{label={_WORDS}}}",
        f"the digit {{label={_WORDS}}}",
        f"the number {{label={_WORDS}}} written by hand",
        f"{{label={_WORDS}}}",
    )

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_ROWS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey."""
        with resources.files("genzoo.data").joinpath("digits.npz").open("rb") as file:
            arrays = np.load(file)
            x, label = arrays["x"][_ROWS[split]], arrays["label"][_ROWS[split]]
        fields = image_fields((1, 8, 8), levels=17, names="0123456789")
        info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})
        rows = torch.from_numpy(x).reshape(-1, 1, 8, 8)
        return ArrayDataset(rows, info, f"digits/{split}", torch.from_numpy(label).long(), 16.0)
