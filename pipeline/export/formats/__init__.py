"""Export formats, one file each; see `pipeline/export/forms.py` for the verbs of a format.

A further format is a file put beside these: it is asked for by its name, and proven like the others.
"""
