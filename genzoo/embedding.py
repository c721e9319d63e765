"""Codes of rows as arrays, for libraries that take arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from genzoo.capabilities import SupportsEncode
from genzoo.data import Dataset, as_dataset
from genzoo.errors import CapabilityError
from genzoo.latents import code_vectors
from genzoo.model import Model, check_loaded
from genzoo.sampling import evaluating

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def embed(model: Model, data: Dataset | Any, *, batch_size: int = 256) -> NDArray[np.float32]:
    """Return the code of each row, flattened, as an array (N, D) for scikit-learn and others.

    Codes that are categories become one-hot vectors.

    The codes are those of ``model.encode``, computed in blocks, in eval mode and without
    gradients. Conditions are read from the data.

    Arguments:
        model: The model.
        data: A dataset, or an array or tensor of rows.
        batch_size: The number of rows that are encoded at once.

    Raises:
        ConfigError: The model is given by the name of its folder.
        CapabilityError: The model does not encode, or the data lack a condition.
        DataError: The data do not fit the model.
    """
    check_loaded(model, "embed")
    if not isinstance(model, SupportsEncode):
        raise CapabilityError(
            f"{type(model).__name__} does not encode, so its rows have no codes. Choose a model "
            "that does: genzoo list --can encode."
        )
    rows = as_dataset(data)
    model.check_data(rows.info)
    place, found = (model.device, model.dtype), []
    with evaluating(model), torch.no_grad():
        for index in torch.split(torch.arange(len(rows)), batch_size):
            batch = rows.batch(index)
            condition = {
                name: model.conditions[name].place(values, *place)
                for name, values in model.conditions_of(batch).items()
            }
            x = model.event.place(batch[model.event_field], *place)
            z = model.encode(x, condition=condition or None)
            found.append(code_vectors(z, model.codes).float().cpu())
    return torch.cat(found).numpy()
