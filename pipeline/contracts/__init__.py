"""Data contracts: what a data set promises, as Great Expectations suites, and whether it holds, checked on Spark.

`suites` reads a contract, `frames` builds the table that it is about, `checking` evaluates it, `results` turns the
outcome into a record and into sentences, `documents` renders it for people, `validation` joins them for the stages.
Only `engine` imports Great Expectations and Spark when it is imported itself.
"""
