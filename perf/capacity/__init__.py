"""The capacity model: the line as a discrete-event simulation, calibrated by measured service times. See docs/capacity.md."""
