"""Models by name, from fields of a config or from data."""

import pytest
import torch

import genzoo
from genzoo.errors import ConfigError, DataError

ROWS = torch.eye(6).repeat(2, 1)


def test_the_config_is_fitted_to_the_data_as_the_command_line_does():
    model = genzoo.create_model("rbm", data=ROWS, num_hidden=3)
    assert model.config == type(model).configure(genzoo.data.as_dataset(ROWS).info, num_hidden=3)
    assert model.event == genzoo.Binary(shape=(6,))
    assert model.config.num_hidden == 3


def test_conditions_are_named_with_data_and_are_spaces_without():
    digits = genzoo.load_dataset("digits")
    fitted = genzoo.create_model("ddpm", data=digits, conditions=["label"])
    assert dict(fitted.conditions) == {"label": digits.info["label"]}
    space = genzoo.Label(num_classes=4)
    model = genzoo.create_model("ddpm", event=fitted.event, conditions={"label": space})
    assert dict(model.conditions) == {"label": space}
    with pytest.raises(ConfigError, match="conditions"):
        genzoo.create_model("ddpm", event=fitted.event, conditions=["label"])


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="models binary data"):
        genzoo.create_model("rbm", data=genzoo.load_dataset("digits"))
    with pytest.raises(DataError, match="needs the field label of the data"):
        genzoo.create_model("ddpm", data=torch.rand(4, 1, 8, 8), conditions=["label"])
