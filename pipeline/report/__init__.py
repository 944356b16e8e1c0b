"""The page for people: one self-contained HTML file made from whatever a run has left."""
