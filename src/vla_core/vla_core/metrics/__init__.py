"""What is measured: windows of newest values and their quantiles, intervals of counts."""

from vla_core.metrics.interval import wilson
from vla_core.metrics.window import JitterMeter, Window, quantiles

__all__ = ["JitterMeter", "Window", "quantiles", "wilson"]
