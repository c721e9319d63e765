"""Models broken on purpose: their configs, and the spaces that they declare."""

import math
from dataclasses import dataclass, field
from typing import Annotated

from torch import nn

import families
import genzoo
import genzoo.plugin
from breaking import ANY, broken, put, put_config, put_with_loss
from families_common import drawn_by


@broken("check_config_closed", "Open has numbers without Bounds: sizes, depth")
def config_without_bounds(name):
    @dataclass(frozen=True, kw_only=True)
    class Open(genzoo.plugin.Config):
        event: genzoo.plugin.Space
        sizes: tuple[int, ...] = ()
        depth: int = 3

    def example(cls):
        return Open(event=genzoo.Unit(shape=(3,))), {"x": families.rows(8, 3)}

    put(name, Config=Open, example=classmethod(example))


@broken("check_config_bounds", "which is out of its bounds")
def config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Anything(families.ToyConfig):
        """Checks nothing."""

        def __post_init__(self):
            if isinstance(self.event, dict):
                object.__setattr__(self, "event", genzoo.plugin.Space.from_dict(self.event))

    put_config(name, Anything)


@broken("check_config_closed", "accepts a field that it does not have")
def config_that_ignores_what_it_knows_not(name):
    @dataclass(frozen=True, kw_only=True)
    class Lenient(families.ToyConfig):
        """Leaves out what it does not know."""

        @classmethod
        def from_dict(cls, values):
            known = {k: v for k, v in values.items() if k in ("event", "width")}
            return super().from_dict(known)

    put_config(name, Lenient)


@broken("check_config_bounds", "does not build: IndexError")
def lower_bound_that_does_not_build(name):
    @dataclass(frozen=True, kw_only=True)
    class Low(families.ToyConfig):
        """May be zero, it says."""

        width: Annotated[int, genzoo.plugin.Bounds(0, 10)] = 5

    def init(self, config):
        families.Linear.__init__(self, config)
        self.last = [nn.Identity() for _ in range(config.width)][-1]

    put_config(name, Low, __init__=init)


@broken("check_config_bounds", "does not build: ZeroDivisionError")
def lower_bound_that_divides_by_nothing(name):
    @dataclass(frozen=True, kw_only=True)
    class Low(families.ToyConfig):
        """May be zero, it says."""

        width: Annotated[int, genzoo.plugin.Bounds(0, 10)] = 5

    def init(self, config):
        families.Linear.__init__(self, config)
        self.share = 1 / config.width

    put_config(name, Low, __init__=init)


@broken("check_config_bounds", "its config fails: OverflowError")
def upper_bound_that_its_config_cannot_bear(name):
    @dataclass(frozen=True, kw_only=True)
    class High(families.ToyConfig):
        """Computes with what it is given."""

        rate: Annotated[float, genzoo.plugin.Bounds(0.0, 1e9)] = 1.0

        def __post_init__(self):
            super().__post_init__()
            math.exp(self.rate)

    put_config(name, High)


@broken("check_config_bounds", "The field 'inner' takes")
def config_within_a_config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Inner(genzoo.plugin.Config):
        """Checks nothing."""

        depth: Annotated[int, genzoo.plugin.Bounds(1, 4)] = 2

        def __post_init__(self):
            pass

    @dataclass(frozen=True, kw_only=True)
    class Outer(families.ToyConfig):
        """Holds the other one."""

        inner: Inner | None = None

    put_config(name, Outer)


@broken("check_config_closed", "Long has numbers without Bounds: widths")
def list_of_any_length(name):
    @dataclass(frozen=True, kw_only=True)
    class Long(families.ToyConfig):
        """As many layers as it is given."""

        widths: tuple[Annotated[int, genzoo.plugin.Bounds(1, 8)], ...] = (2,)

    put_config(name, Long)


@broken("check_config_closed", "Rate has numbers without Bounds: steps")
def objective_config_without_bounds(name):
    @dataclass(frozen=True, kw_only=True)
    class Rate(genzoo.plugin.Config):
        """Any number of steps."""

        steps: int = 1

    put_with_loss(name, families.LeastSquares.losses, config=Rate)


@broken("check_config_bounds", "The field 'temperature' takes")
def sampler_config_that_accepts_anything(name):
    @dataclass(frozen=True, kw_only=True)
    class Hot(genzoo.plugin.Config):
        """Checks nothing."""

        temperature: Annotated[float, genzoo.plugin.Bounds(0.0, 2.0)] = 1.0

        def __post_init__(self):
            pass

    made = type("Sampler", (families.Fixed,), {"Config": Hot})
    put(name, default_sampler=drawn_by(made))


@broken("check_spaces", "It declares spaces that it cannot be configured for")
def space_that_it_refuses(name):
    def check_data(self, info):
        if isinstance(info["x"], genzoo.Binary):
            raise genzoo.DataError("No zeros and ones.")

    put(name, event_spaces=(genzoo.Unit, genzoo.Binary), check_data=check_data)


@broken("check_spaces", "It declares spaces that it cannot be configured for", also=ANY)
def condition_that_it_refuses(name):
    def init(self, config):
        if any(isinstance(space, genzoo.Text) for space in config.conditions.values()):
            raise genzoo.ConfigError("No texts.")
        families.Linear.__init__(self, config)

    @dataclass(frozen=True, kw_only=True)
    class Given(families.ToyConfig):
        """A toy that may be given something."""

        conditions: genzoo.plugin.ConditionSpaces = field(default_factory=dict)

    spaces = (genzoo.Label, genzoo.Text)
    put_config(name, Given, __init__=init, condition_spaces=spaces)


@broken("check_registered", "event_spaces is ('colourful',)", also=ANY)
def space_that_there_is_not(name):
    put(name, event_spaces=("colourful",))


@broken("check_condition", "The example's batch lacks 'mood'", also=ANY)
def condition_that_the_example_lacks(name):
    @dataclass(frozen=True, kw_only=True)
    class Moody(families.ToyConfig):
        """A toy that is given a mood."""

        conditions: genzoo.plugin.ConditionSpaces = field(
            default_factory=lambda: {"mood": genzoo.Label(num_classes=2)}
        )

    put_config(name, Moody, condition_spaces=(genzoo.Label,))
