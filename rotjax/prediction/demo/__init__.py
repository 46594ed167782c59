"""A page to try a model on one's own pictures, served to this machine alone."""
