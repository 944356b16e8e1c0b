"""Changed copies of training rows: the steps, one file each, and what makes a copy of them. Spark and training use it.

Pure functions of a row's values, its key and the recipe: no files, no Spark, no TensorFlow.
"""
