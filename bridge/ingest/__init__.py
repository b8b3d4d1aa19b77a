"""Photographs that cameras drop into a folder: found when whole, taken under a name of their own, remembered until sent."""
