"""Tests of the server, which share one that they leave as it was."""
