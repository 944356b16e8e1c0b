"""The page for people: one self-contained HTML file made from the outputs of a run."""
