"""Layouts of model folders: genzoo's own, and those of other libraries."""
