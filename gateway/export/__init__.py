"""What inspections are handed on as: CSV, JSON, KLARF. Written row by row, so that memory does not grow with them."""
