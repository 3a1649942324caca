"""Inputs, named by their content."""
