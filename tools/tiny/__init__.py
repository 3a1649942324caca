"""Small checkpoints: random ones with the layout of the large, and the trained one that wancore ships."""
