"""``make bench``: the line beside its limits, the paper's pipeline and a plain server, interleaved in one run.

load.py       closed loops and Poisson arrivals
usage.py      CPU and memory, by process
resident.py   the limits: loops in a process of their own, no server
clients.py    the servers, as their clients see them
rounds.py     who is measured when
figures.py    medians, spreads, ratios pair by pair
regression.py what moved since the committed result
report.py     tables and the last line; plot.py the picture
"""
