"""Fair comparisons of configs."""
