"""Figures of runs and sweeps: for PNG files and for the page."""
