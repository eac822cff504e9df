"""LeRobot v3.0 datasets, written and read with pyarrow and PyAV: no lerobot, no torch, no pandas.

Source: lerobot 0.4.4, `datasets/lerobot_dataset.py` and `datasets/utils.py`; checked against it.
"""

from vla_data.lerobot.features import Feature, image, number, vector, video
from vla_data.lerobot.reader import Dataset, Episode
from vla_data.lerobot.writer import DatasetWriter

__all__ = ["Dataset", "DatasetWriter", "Episode", "Feature", "image", "number", "vector", "video"]
