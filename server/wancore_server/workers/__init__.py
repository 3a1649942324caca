"""The gateway's side of its worker processes."""
