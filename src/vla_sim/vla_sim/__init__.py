"""Node that puts a MuJoCo scene behind the topics of the real robot."""
