"""Masks that people paint: checked, kept bit for bit, with author and time."""
