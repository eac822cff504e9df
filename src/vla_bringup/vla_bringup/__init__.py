"""The process graph, described once, its supervisor, and the command line."""
