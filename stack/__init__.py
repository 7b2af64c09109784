"""Starts the whole product on one machine, each part as a process of its own, and leaves none of them behind."""
