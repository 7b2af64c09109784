"""Kommo and Xero, simulated: real limits, rotating tokens, validation, lost answers and late webhooks, with books that can be read.

Run it with `python -m sandbox`. It imports nothing of the bridge, and the bridge imports nothing of it.
"""
