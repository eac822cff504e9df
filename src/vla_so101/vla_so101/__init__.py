"""The SO-101 arm: driver of its Feetech bus, bridge, leader arm, and an emulator of the servos."""
