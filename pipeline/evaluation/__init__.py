"""The evaluation phase: what the candidate's answers are worth.

`predict` asks a stored model, `predictions` keeps its answers for the gate and the page, `metrics` and `curves` measure
them (pure), `plot_data` and `plots` write and draw them, `findings` gathers what is shown.
"""
