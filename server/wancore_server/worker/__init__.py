"""The worker process: loads plugins, runs one attempt at a time."""
