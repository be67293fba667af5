"""Options of a network and of its training: activations, costs, optimizers, schedules, initial weights.

A kind of option is one file: its formulas, the objects that hold their numbers, and the table of names.
Only `step_numbers` and `random_streams` import NumPy, for the command line reads the names first.
"""
