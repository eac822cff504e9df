"""Training from demonstrations: episodes on disk, batches, losses, checkpoints that resume."""
