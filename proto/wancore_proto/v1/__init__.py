"""The messages and services of `wancore.v1`, one module per proto file."""
