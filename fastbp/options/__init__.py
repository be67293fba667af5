"""What a user chooses, by name or as an object: activations, costs, optimizers, schedules, initial weights.

An option is one file: its formula, the object with its numbers, and the table of names.  Nothing here needs
NumPy to be imported but `step_numbers` and `random_streams`, for the command line reads the names first.
"""
