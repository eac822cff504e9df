"""Adapters of the Policy port: in process, worker process, server and client, replay, scripted."""

from vla_hosting.loading import load_policy

__all__ = ["load_policy"]
