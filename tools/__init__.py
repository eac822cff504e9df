"""What turns a fresh clone into a running stack; needs nothing but a Python interpreter."""
