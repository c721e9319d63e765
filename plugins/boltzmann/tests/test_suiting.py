"""Defaults that follow from the data: rules for any data, not for a dataset."""

import pytest

from genzoo import Binary, DataInfo, Real
from genzoo_boltzmann import suiting
from genzoo_boltzmann.boltzmann_machine import BoltzmannMachine
from genzoo_boltzmann.gaussian_rbm import GaussianRBM
from genzoo_boltzmann.rbm import RBM

FITTED = [((1, 8, 8), 256, 0.35), ((1, 28, 28), 500, 80 / 784), ((5,), 20, 0.35)]


@pytest.mark.parametrize(("shape", "num_hidden", "rate"), FITTED)
def test_a_machine_and_its_rate_fit_the_number_of_visible_units(shape, num_hidden, rate):
    config = RBM.configure(DataInfo(fields={"x": Binary(shape=shape)}))
    assert config.num_hidden == num_hidden
    assert RBM.default_stages(config)[0].objective.config["lr"] == pytest.approx(rate)


def test_a_given_number_of_hidden_units_is_kept():
    info = DataInfo(fields={"x": Binary(shape=(1, 8, 8))})
    assert RBM.configure(info, num_hidden=500).num_hidden == 500


def test_large_general_machine_gets_the_graph_of_an_rbm():
    few, many = Binary(shape=(1, 4, 4)), Binary(shape=(1, 8, 8))
    assert suiting.general(few, {}) == {}
    assert suiting.general(many, {}) == {"graph": "restricted", "num_hidden": 256}
    assert suiting.general(many, {"graph": "complete"}) == {"graph": "complete"}
    config = BoltzmannMachine.configure(DataInfo(fields={"x": many}), num_hidden=9)
    assert (config.graph, config.num_hidden) == ("restricted", 9)
    (stage,) = BoltzmannMachine.default_stages(config)
    assert stage.objective.config["lr"] == pytest.approx(0.49)


def test_real_data_get_hidden_units_by_their_size_and_few_stay_exact():
    for shape, num_hidden in (((2,), 16), ((1, 8, 8), 256), ((1, 28, 28), 500)):
        config = GaussianRBM.configure(DataInfo(fields={"x": Real(shape=shape)}))
        assert config.num_hidden == num_hidden
