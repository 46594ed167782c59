"""Configuration: every field, named objects, overrides, files, checks."""
