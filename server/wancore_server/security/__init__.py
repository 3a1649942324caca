"""Who may do what, and over which connection."""
