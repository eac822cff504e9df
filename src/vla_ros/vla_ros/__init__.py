"""What each node needs: QoS by meaning, typed parameters, lifecycle base, message conversion."""
