"""Data contracts: what a data set promises, as Great Expectations suites, and whether Spark finds that it holds.

`suites` reads a contract, `frames` makes the table that it speaks about, `checking` evaluates it, `results` says what
came of it, `documents` writes it for people, `validation` joins them for the stages. Nothing here imports Great
Expectations or Spark when it is imported itself.
"""
