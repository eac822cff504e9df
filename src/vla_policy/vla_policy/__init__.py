"""Node that turns the latest observation into an action chunk when the executor asks."""
