"""The small trained model that wancore ships: its corpus, its training, its scores."""
