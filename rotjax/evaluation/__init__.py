"""Evaluation: predictions, densities and their calibration."""
