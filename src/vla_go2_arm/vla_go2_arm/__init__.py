"""Unitree Go2 with an SO-101 on its back: bridge, camera, guard, and an emulator for tests."""
