"""Figures, measured: ``python -m benchmarks.NAME`` prints a table, ``--smoke`` does the same in a second or two with too few repeats.

Times are quoted as ratios of things run in turns in one process, for seconds say more of the machine than of the code.
"""
