"""MuJoCo worlds with tasks, experts and success detection, without ROS."""
