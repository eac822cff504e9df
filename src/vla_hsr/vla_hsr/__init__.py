"""Bridge between the contract's topics and the Toyota HSR's own controllers, and its emulator."""
