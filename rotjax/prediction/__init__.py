"""Predictions for pictures, by a finished run or a model file."""
