"""Chooses horizon, threshold and join for a latency: the executor in lockstep, swept.

`reference`, `latency` and `smoothness` need nothing but numpy: the benchmark against LeRobot
loads them in LeRobot's environment, too.
"""
