"""The encoder process: raw frames into pictures and H.264. Imports neither gRPC nor plugins."""
