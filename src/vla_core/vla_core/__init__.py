"""Types, ports and decisions of the stack in plain Python: no ROS, no clock, no logger."""
