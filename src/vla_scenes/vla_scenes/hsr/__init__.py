"""Toyota HSR between a table and a cabinet: fetch a can, open a drawer."""
