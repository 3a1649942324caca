"""The gRPC services; each method checks, calls the parts behind it, and answers."""
