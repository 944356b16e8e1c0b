"""Data contracts: what a data set promises, as Great Expectations suites, and whether Spark finds it kept.

`suites` reads a contract, `frames` makes the table that it speaks about, `checking` evaluates it, `verdicts` says what
came of it, `documents` writes it for people, `holding` joins them for the stages. Nothing here imports Great
Expectations or Spark when it is imported itself.
"""
