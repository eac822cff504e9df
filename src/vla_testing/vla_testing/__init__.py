"""Conformance suites of the ports, a fake clock and helpers for system tests."""
