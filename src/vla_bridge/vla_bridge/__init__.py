"""Node and base class between one robot's interfaces and the contract's topics."""
