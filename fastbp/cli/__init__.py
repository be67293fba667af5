"""The command line.

Nothing slower than argparse is imported before the arguments are known to be good.
"""
