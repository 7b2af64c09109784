"""Kommo: its client, its dialect as pure functions, and its nouns in our words."""
