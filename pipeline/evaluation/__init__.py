"""The evaluation phase: how good the candidate's predictions are.

`predict` runs a stored model, `predictions` stores its answers for the gate and the page, `metrics` and `curves`
measure them (pure), `plot_data` and `plots` write and draw them, `findings` collects what is shown.
"""
