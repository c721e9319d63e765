"""Estimators of the gradient of an expectation over latents, as exchangeable components.

They are the group ``genzoo_vae.estimators``; another package adds one by its entry points.
"""
