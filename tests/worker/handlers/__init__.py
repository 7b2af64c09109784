"""Handlers, each against the sandbox."""
