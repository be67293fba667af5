"""What a user hands over, as the engine reads it: arrays, frames, sparse rows, labels, weights; with every
input error about them.
"""
