"""Node that plays action chunks by time and sends limited commands."""
