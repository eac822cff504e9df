"""How the shipped demo policy is made: recording, recipe, evaluation."""
