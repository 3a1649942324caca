"""The long tail of solvers and sigma schedules for wancore."""

WANCORE_API = (1, 1)
