"""Node that takes tasks, chooses the policy and holds the lease."""
