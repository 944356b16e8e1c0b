"""Gate rules, one file each: how a candidate must compare with the champion and the anchor on the same test rows.

A file has a class `Settings`; `check(settings, recipe)` refuses what can be known before any work;
`judge(settings, matches, task)` returns the checks of the verdict; `proves_better(settings, matches)` says whether the
candidate is proven better than the anchor, whose place it takes then; `shows(settings, matches, task)` says in words
what these test rows can show. Settings that name slices say so in `named_slices`, and those that let nothing through on
fewer test rows than some number in `fewest_rows`.

`asks(settings, slices)` returns what each of these checks is held to, by its name, and `recount(settings, counted,
task)` the checks that follow from what the matches came to: `register` holds a verdict to both. A rule without them is
believed in what it says of champion and anchor; with `recount`, `proves_better` is asked with the matches alone.
"""
