"""What the page says first: the verdict, or why none counts."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.run_files import RunFiles


@dataclass(frozen=True)
class Headline:
    """The page's headline. `kind` is promote, refuse, stopped, outdated or none; `word` is the same for people."""

    kind: str
    symbol: str
    word: str
    sentence: str


def unreadable(sentence: str) -> Headline:
    """Return the headline for a run of which nobody can say how it ended."""
    return Headline("stopped", "■", "Unreadable", sentence)


def headline(files: RunFiles) -> Headline:
    """Return the headline. A verdict counts only if nothing has failed since and it is about this candidate."""
    if files.run.value and (failed := files.run.value.failed):
        return Headline("stopped", "■", "Stopped", f"The run stopped at {failed.name}: {failed.what}")
    if files.run.problem:
        return unreadable(f"How the run ended cannot be read: {files.run.problem}")
    if files.graph.value is None:
        return unreadable(f"The graph cannot be read: {files.graph.problem}")
    for name, contract in files.contracts.items():
        if contract.value and not contract.value.has_passed:
            broken = len(contract.value.failed)
            sentence = f"The contract on {name} data does not hold: {broken} of its expectations failed."
            return Headline("stopped", "■", "Stopped", sentence)
    if not files.graph.value.maker("verdict"):
        return Headline("none", "○", "Not judged", "No stage makes a verdict, so nothing has been promoted.")
    return _of_verdict(files)


def _of_verdict(files: RunFiles) -> Headline:
    verdict, candidate = files.verdict, files.candidate
    if verdict.problem:
        return unreadable(f"The verdict cannot be read: {verdict.problem}")
    if verdict.value is None:
        return Headline("none", "○", "Not judged yet", "There is no verdict, so nothing has been promoted.")
    if candidate.problem:
        sentence = f"The verdict is about a model that is not here any more: {candidate.problem}"
        return Headline("outdated", "○", "Out of date", sentence)
    if candidate.value and verdict.value.candidate != candidate.value:
        sentence = f"The verdict is about another model than the one in {files.place('candidate')}: run again."
        return Headline("outdated", "○", "Out of date", sentence)
    reason = verdict.value.reason[:1].upper() + verdict.value.reason[1:]
    if not verdict.value.promotes:
        return Headline("refuse", "✗", "Refuse", reason)
    return Headline("promote", "✓", "Promote", reason)
