"""Human review of what the line decided: which inspections, who judges them, what the judgements come to."""
