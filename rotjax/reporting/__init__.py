"""One HTML file that holds a run's or a sweep's results."""
