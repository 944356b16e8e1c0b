"""The evaluation phase: how good the candidate's predictions are.

`predict` runs a stored model, `predictions` stores its answers for the gate and the page, `measuring` measures them by
the task that the recipe names. A task is a file in `tasks/`; the arithmetic and the drawings of one stand beside
it in a folder of its name, which only the task reaches. `learning_curves`, `tables` and `drawing` serve every task.
"""
