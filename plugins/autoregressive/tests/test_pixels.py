"""Models that read an image pixel by pixel: what they see, patches, and refusals."""

import itertools

import pytest
import torch

from genzoo import Binary, Categorical, ConfigError, Unit, create_model
from genzoo_autoregressive.image_lstm import cell
from small_chains import EVENTS, GIVEN, MODELS, PIXELS, SPACES, dependence, net, probabilities

SIDE = 4
IMAGE = Binary(shape=(1, SIDE, SIDE))
PLACES = list(itertools.product(range(SIDE), repeat=2))


def seen_by(*offsets):
    """Return which pixels a pixel sees at some offsets, (16, 16) bool."""
    found = torch.zeros(len(PLACES), len(PLACES), dtype=torch.bool)
    for index, (row, column) in enumerate(PLACES):
        for down, right in offsets:
            other = (row + down, column + right)
            if other in PLACES:
                found[index, PLACES.index(other)] = True
    return found


def through(upper, lower):
    """Return what a pixel sees by a layer above another one."""
    return (upper.double() @ lower.double()) > 0


ABOVE = [(-1, -1), (-1, 0), (-1, 1)]
FIRST = seen_by(*ABOVE, (0, -1))


def field_of_pixelcnn(num_layers):
    """Return what the pixels see by layers of kernels of 3 × 3."""
    vertical, horizontal = seen_by(*ABOVE), FIRST
    for _ in range(num_layers - 1):
        vertical = through(seen_by(*ABOVE, (0, -1), (0, 0), (0, 1)), vertical)
        horizontal = through(seen_by((0, -1), (0, 0)), horizontal) | vertical
    return horizontal


def field_of_rows(num_layers):
    """Return what the pixels see by row LSTMs."""
    found = FIRST
    for _ in range(num_layers):
        states = through(seen_by((0, -1), (0, 0)), found)
        for _ in range(SIDE):
            states = states | through(seen_by(*ABOVE), states)
        found = found | states
    return found


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_a_pixelcnn_sees_all_that_its_depth_gives_without_a_blind_spot(num_layers):
    model = net("pixelcnn", IMAGE, **{**MODELS["pixelcnn"], "num_layers": num_layers})
    wanted = field_of_pixelcnn(num_layers)
    assert torch.equal(dependence(model), wanted)
    before = torch.ones(16, 16).tril(-1).bool()
    assert not bool((wanted & ~before).any())
    # With three layers all that is before the last pixel of a 3 × 3 image is seen.
    assert num_layers < 3 or bool(wanted[10, :10].all())


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_row_lstm_sees_a_triangle_above_a_pixel(num_layers):
    config = {**MODELS["pixelrnn"], "layer": "row", "num_layers": num_layers}
    model = net("pixelrnn", IMAGE, **config)
    wanted = field_of_rows(num_layers)
    assert torch.equal(dependence(model), wanted)
    assert not bool((wanted & ~torch.ones(16, 16).tril(-1).bool()).any())


def test_a_diagonal_bilstm_sees_all_pixels_before_a_pixel():
    model = net("pixelrnn", IMAGE, **{**MODELS["pixelrnn"], "num_layers": 1})
    assert torch.equal(dependence(model), torch.ones(16, 16).tril(-1).bool())


def test_a_gate_is_the_formula_of_the_paper():
    model = net("pixelcnn", IMAGE, **{**MODELS["pixelcnn"], "num_layers": 1})
    (layer,), conv = model.layers, torch.nn.functional.conv2d
    image = torch.rand(2, 1, SIDE, SIDE, dtype=torch.float64).round()
    padded = torch.nn.functional.pad(torch.cat([image, torch.ones_like(image)], 1), (1, 1, 1, 1))
    found = model.features(image, None)
    for row, column in PLACES:
        above = padded[:, :, row : row + 1, column : column + 3]
        left = padded[:, :, row + 1 : row + 2, column : column + 1]
        vertical = conv(above, layer.above.weight, layer.above.bias)
        sums = conv(left, layer.left.weight) + conv(
            vertical, layer.across.weight, layer.across.bias
        )
        a, b = sums.chunk(2, dim=1)
        skip = conv(a.tanh() * b.sigmoid(), layer.out.weight, layer.out.bias)[:, 8:, 0, 0]
        assert torch.allclose(found[:, :, row, column], skip)


def test_a_cell_is_that_of_an_lstm(generator):
    o, f, i, g, c = torch.randn(5, 2, 3, dtype=torch.float64, generator=generator)
    lstm = torch.nn.LSTMCell(1, 3).double()  # Its gates are i, f, g and o.
    torch.nn.init.zeros_(lstm.weight_ih)
    torch.nn.init.zeros_(lstm.weight_hh)
    for row in range(2):
        lstm.bias_ih.data = torch.cat([i[row], f[row], g[row], o[row]])
        torch.nn.init.zeros_(lstm.bias_hh)
        wanted = lstm(torch.zeros(1, 1).double(), (torch.zeros(1, 3).double(), c[row : row + 1]))
        found = cell(torch.cat([o, f, i, g], dim=1), c)
        for mine, its in zip(found, wanted, strict=True):
            assert torch.allclose(mine[row], its[0])


def test_a_condition_moves_the_gates_of_both_stacks_and_all_layers():
    model = net("pixelcnn", IMAGE, conditions=SPACES, **MODELS["pixelcnn"])
    x = torch.rand(20, SIDE * SIDE, dtype=torch.float64).round()
    given = torch.randn(20, 3 * 4 * 8, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(model.row_log_prob(x, given).sum(), given)
    moves = slope.ne(0).any(0).view(3, 2, 16)
    # Nothing is above the vertical stack of the last layer.
    assert bool(moves[:2].all())
    assert bool(moves[2, 1].all())
    assert not bool(moves[2, 0].any())


@pytest.mark.parametrize(
    ("name", "extra"),
    [("pixelcnn", {}), ("pixelrnn", {"layer": "row"}), ("pixelrnn", {"layer": "diagonal"})],
)
def test_what_is_kept_is_what_is_computed_anew(name, extra):
    # Three rows, so that what is kept of one moves on more than once.
    event = Categorical(shape=(2, 3, 4), num_categories=3)
    model = net(name, event, conditions=SPACES, **{**MODELS[name], **extra})
    x = torch.randint(3, (5, 24), generator=torch.Generator().manual_seed(1))
    (chain,) = model.chains()
    with torch.no_grad():
        given = model.condition_vectors(model.checked_condition(GIVEN, 5))
        wanted, steps = chain.parameters(x, given), chain.steps(x, given)
        assert not torch.allclose(wanted, chain.parameters(x, 0 * given))
        for index, place in enumerate(chain.order.tolist()):
            found = steps.parameters(index)
            assert torch.allclose(found, wanted[:, place], rtol=0, atol=1e-10)
            steps.put(index, x[:, place])


@pytest.mark.parametrize("name", PIXELS)
def test_patches_are_read_one_after_another_and_pixel_by_pixel_in_each(name):
    model = net(name, Binary(shape=(2, 2, 4)), patch_size=2, **MODELS[name])
    # The places of channel 0 are 0 to 7, those of channel 1 are 8 to 15.
    assert model.order == [0, 8, 1, 9, 4, 12, 5, 13, 2, 10, 3, 11, 6, 14, 7, 15]
    model = net(name, Unit(shape=(1, 2, 4), levels=2), patch_size=2, **MODELS[name])
    assert probabilities(model).sum().item() == pytest.approx(1, abs=1e-10)
    assert torch.equal(dependence(model), torch.ones(8, 8).tril(-1).bool())


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("pixelcnn", {"event": Binary(shape=(6,))}, "reads images .* not rows of shape"),
        ("pixelrnn", {"patch_size": 2, "event": EVENTS["binary"]}, "does not divide images of 2"),
        ("pixelcnn", {"kernel_size": 4}, "kernel_size is 4. Give an odd number"),
        ("pixelrnn", {"first_kernel_size": 6}, "first_kernel_size is 6. Give an odd number"),
        ("pixelcnn", {"order": "random"}, "order"),
    ],
)
def test_configs_that_are_no_model_are_refused(name, config, said):
    with pytest.raises(ConfigError, match=said):
        create_model(name, **{"event": IMAGE, **config})
