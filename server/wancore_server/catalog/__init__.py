"""What can be asked for: families, models, plugins; found by a process of its own."""
