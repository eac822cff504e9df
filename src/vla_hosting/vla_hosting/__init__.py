"""Adapters of the Policy port: in process, worker process, server and client, replay, scripted."""
