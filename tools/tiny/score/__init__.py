"""Whether a video shows what its prompt asked for, told from its frames alone."""
