"""The guardian: what engineers must know, told once, and told to be over."""
