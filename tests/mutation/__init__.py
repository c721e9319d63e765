"""Mutation testing: small faults are put into the code, and the tests must see each of them.

`mutants` finds the faults, `forks` runs tests with coverage or against a fault, `choosing` says
which tests run a fault's lines, `scores` counts, and `tests/mutate.py` is the command.
"""
