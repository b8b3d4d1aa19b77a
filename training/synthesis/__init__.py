"""Synthetic trailing-edge photographs: a part, its defects, the camera, and the set on disk."""
