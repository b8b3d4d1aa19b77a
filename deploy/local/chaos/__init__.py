"""Proof that the line loses nothing and answers nothing twice, by killing its parts under load."""
