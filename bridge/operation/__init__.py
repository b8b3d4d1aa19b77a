"""How the bridge is set up, and what it tells of itself."""
