"""Training of the model that wancore ships."""
