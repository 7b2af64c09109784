"""The attack: the product as real processes, the vendors simulated, faults by a seeded script; the vendors' books are the judge."""
