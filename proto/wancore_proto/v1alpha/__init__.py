"""The messages and services of `wancore.v1alpha`, which may still change, one module per proto file."""
