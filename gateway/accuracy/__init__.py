"""How right the line and its people are: agreement, control charts, drift, gage studies."""
