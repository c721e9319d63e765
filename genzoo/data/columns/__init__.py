"""Columns of data: which are rows, labels, texts or further fields, and their values."""
