"""What goes on now: the line's pulse, its alerts, and requests made here."""
