"""Tests of live sessions, which share a server of their own."""
