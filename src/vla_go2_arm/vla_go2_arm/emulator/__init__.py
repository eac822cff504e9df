"""The robot's side of the wire, for tests and `backend:=mock`; shares no code with the bridge."""
