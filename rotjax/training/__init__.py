"""The training step, optimizers, and what runs them on devices."""
