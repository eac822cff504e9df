"""rosbag2 bags (MCAP), written and read as raw CDR without ROS.

Metadata version 8: the newest that Humble's rosbag2 reads. A bag that was not closed is made whole
by `recover`.
"""

from vla_data.bag.reader import BagReader, Message
from vla_data.bag.recovery import ensure_readable, recover
from vla_data.bag.types import TypeStore
from vla_data.bag.writer import LATCHED, RELIABLE, BagWriter

__all__ = [
    "LATCHED",
    "RELIABLE",
    "BagReader",
    "BagWriter",
    "Message",
    "TypeStore",
    "ensure_readable",
    "recover",
]
