"""The parts of `likelihood_table.py`, one question each."""
