"""Measures the product against computed floors, a bare receiver, and what most teams would write. README.md tells how."""
