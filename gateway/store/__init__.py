"""The dashboard's store: what was decided, who judged it, who changed what."""
