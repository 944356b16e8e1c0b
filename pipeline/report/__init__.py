"""The pages for people: self-contained HTML files, one made from the outputs of a run, one from the registry.

page, parts, templates/             the page; its parts, each with a template
sections                            the one guard: what cannot be read or drawn says why
run_files, headline                 what several parts show; what the page says first
flow, mistakes, inline_svg, ledger  what one part shows: rows, wrong predictions, drawings, what verdicts have cost
columns, raw_values, foreign_text    columns, single rows of them, and their texts, whatever they hold
time_spent, time_line               what the time of a run went into, and its picture
provenance, figures                 where a result is from; figures as people read them
champions, champions_chart          the page of all registered versions over time, and its picture
drawing                             how a template becomes markup
"""
