"""Messages between the gateway and its own processes."""
