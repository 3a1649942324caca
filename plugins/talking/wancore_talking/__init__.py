"""Talking video: a still or a video and speech in, a video of any length out, window by window.

InfiniteTalk and MultiTalk share their transformer and nearly everything around it; how a window follows
the one before is their own (`TalkingFamily.continued`).
"""
