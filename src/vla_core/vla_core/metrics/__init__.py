"""What is measured while running: windows of newest values and their quantiles."""

from vla_core.metrics.window import JitterMeter, Window

__all__ = ["JitterMeter", "Window"]
