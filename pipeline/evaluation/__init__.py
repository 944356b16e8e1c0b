"""The evaluation phase: what the candidate's answers are worth, and the page that says so to people.

`predict` asks a stored model, `metrics` and `curves` measure its answers (pure), `plots` and `pictures` draw them,
`predictions` keeps them for the gate, `page` gathers everything a run has left into one file.
"""
