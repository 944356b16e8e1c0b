"""From data to contract: what a source holds, all of it, as a config and two contracts for a person to edit.

`recognising` finds the format, `looking` counts what the source delivers, `choosing` and `judging` make a recipe of it,
`measuring` takes the rows through the stages' own functions in a folder of its own, `suites` and `config` write down
what was found, widened by stated rules, `summary` tells it in a few lines, and `init` joins them. What is drafted is
never looked up again: it stands in the files, and a person decides.
"""
