"""Node that records bags with all that replay and training need."""
