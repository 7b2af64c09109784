"""Kommo, simulated (kommo.md, "Simulator checklist")."""
