"""Parts of `benchmarks/executor_vs_lerobot.py`."""
