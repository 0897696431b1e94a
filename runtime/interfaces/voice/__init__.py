"""Talking with the agent: what is said to it is asked, and its answers are spoken."""
