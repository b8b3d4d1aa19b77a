"""Data sets to train with: photographs, masks that people painted or confirmed, splits that hold."""
