"""Layouts of model folders: our own, and those of other libraries."""
