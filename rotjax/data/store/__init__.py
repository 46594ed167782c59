"""Where prepared datasets lie, how they are written and read."""
