"""Approximate posteriors q(z | x), as exchangeable components.

They are the group ``genzoo_vae.posteriors``; another package adds one by its entry points.
"""
