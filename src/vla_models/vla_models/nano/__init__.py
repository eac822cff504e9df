"""NanoVLA: decoupled encoders, cached language, long action chunks (arXiv 2510.25122)."""
