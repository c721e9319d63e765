"""The two tiers of checks: for every model, and for each capability."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from genzoo import capabilities
from genzoo.pretrained import GenerativeModel
from genzoo.testing import (
    capability_checks,
    drawing,
    latent_checks,
    learning,
    likelihoods,
    numerics,
    refusals,
    schema,
    side_effects,
    storing,
)
from genzoo.testing.cases import Case

Check = Callable[[Case], None]

MUST: tuple[Check, ...] = (
    side_effects.check_import,
    side_effects.check_no_side_effects,  # First, before other checks cause what it looks for.
    schema.check_registered,
    schema.check_config_closed,
    schema.check_config_bounds,
    schema.check_spaces,
    capability_checks.check_capabilities,
    capability_checks.check_condition,
    storing.check_builds_empty,
    storing.check_save_load,
    storing.check_strict_load,
    storing.check_state_is_registered,
    storing.check_training_keeps_buffers,
    storing.check_card,
    drawing.check_samples,
    drawing.check_seed_and_blocks,
    drawing.check_samples_are_independent,
    drawing.check_sampling_leaves_model,
    drawing.check_trajectory,
    learning.check_loss_is_a_mean,
    learning.check_losses_move_their_player,
    learning.check_accumulation,
    learning.check_processes,
    learning.check_resume_is_exact,
    learning.check_average_is_published,
    learning.check_conditions_in_training,
    numerics.check_float64,
    numerics.check_autocast,
    refusals.check_broken_weights,
    refusals.check_broken_states,
    refusals.check_empty_batches,
)
"""The checks that every model must pass."""

BY_CAPABILITY: Mapping[type, tuple[Check, ...]] = {
    capabilities.SupportsLogProb: (
        likelihoods.check_likelihood,
        likelihoods.check_likelihood_by_row,
        likelihoods.check_likelihood_gradient,
        likelihoods.check_likelihood_kind,
        likelihoods.check_bound_tightens,
        refusals.check_likelihood_space,
    ),
    capabilities.SupportsEnergy: (likelihoods.check_energy, refusals.check_energy_space),
    capabilities.SupportsEncode: (
        latent_checks.check_encode,
        latent_checks.check_draw_codes,
        latent_checks.check_draws_by_row,
        refusals.check_encode_space,
    ),
    capabilities.SupportsDecode: (latent_checks.check_decode, refusals.check_decode_space),
    capabilities.SupportsClassify: (latent_checks.check_classify, refusals.check_classify_space),
    capabilities.SupportsTranslate: (
        capability_checks.check_translate,
        refusals.check_translate_space,
    ),
    capabilities.SupportsInpainting: (
        capability_checks.check_inpainting,
        refusals.check_inpainting_space,
    ),
    capabilities.SupportsDataInit: (capability_checks.check_data_init,),
    capabilities.SupportsFilters: (capability_checks.check_filters,),
    capabilities.SupportsLayers: (capability_checks.check_layers,),
    capabilities.SupportsBits: (capability_checks.check_bits,),
}
"""The checks for each capability that a model declares."""

CHECKS: tuple[Check, ...] = (*MUST, *(c for own in BY_CAPABILITY.values() for c in own))
"""All checks."""


def declared(cls: type[GenerativeModel]) -> list[type]:
    """Return the capabilities that a model's class declares."""
    return [protocol for protocol in capabilities.ALL if capabilities.declares(cls, protocol)]


def capability_of(check: Check) -> type | None:
    """Return the capability of a check; None if it is for every model."""
    return next((protocol for protocol, own in BY_CAPABILITY.items() if check in own), None)


def checks_for(cls: type[GenerativeModel]) -> tuple[Check, ...]:
    """Return the checks of a model's class: both tiers."""
    had = declared(cls)
    return tuple(c for c in CHECKS if capability_of(c) is None or capability_of(c) in had)
