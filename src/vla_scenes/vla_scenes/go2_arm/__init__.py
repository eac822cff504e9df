"""Unitree Go2 with an SO-101 on its back before a low table: approach a cube and lift it."""
