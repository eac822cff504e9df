"""From a recording to figures, a table, a page and a film."""

from vla_data.report.make import make_report
from vla_data.report.metrics import Episode, EpisodeMetrics, Metrics, compute
from vla_data.report.table import table

__all__ = ["Episode", "EpisodeMetrics", "Metrics", "compute", "make_report", "table"]
