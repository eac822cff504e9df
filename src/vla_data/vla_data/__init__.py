"""LeRobot datasets and rosbag2 bags, read, written, converted and replayed without ROS."""
