"""A run, and how two runs differ, as lines for people: at most a screen."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pipeline.records.run import RunRecord, RunReport
from pipeline.report.figures import duration
from pipeline.runs.comparing import Comparison, FigureChange, FileChange, Pair, metrics_of_task
from pipeline.runs.evidence import Evidence, Figures
from pipeline.runs.photograph import Reference
from pipeline.runtime.progress import count

_WIDEST = 100  # columns, also of a wider terminal
_LABEL = 11
_DIGEST = 12  # characters of a digest that people need
_MOST_FAILED_CHECKS = 8
_MOST_PROBLEMS = 5
_MOST_KEYS = 30
_LONGEST_VALUE = 32
_MOST_FOLDERS = 12
_MOST_NAMES = 6  # files of a folder


def size(size_bytes: float) -> str:
    """Return a number of bytes in words: `1.2 MB`."""
    if size_bytes < 1000:
        return number(round(size_bytes), "byte")
    for unit in ("kB", "MB", "GB"):
        size_bytes /= 1000
        if size_bytes < 1000:
            return f"{size_bytes:.1f} {unit}"
    size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def number(amount: int, what: str) -> str:
    """Return a number of things in words: `1 file`, `2 000 files`."""
    return f"{count(amount)} {what if amount == 1 else f'{what}s'}"


def shown(one: Evidence) -> Iterator[str]:
    """Yield the lines on one run."""
    record = one.record
    state = f"{record.state}, {record.outcome}" if record.outcome else record.state
    yield f"run {record.id}: {state}"
    yield from _wrapped(record.sentence, "  ")
    yield ""
    yield from _labelled("asked by", _asked(record))
    yield from _labelled("began", _when(record))
    yield from _labelled("recipe", _recipe(record))
    yield from _labelled("began with", _photograph(one))
    yield from _labelled("commit", _commit(record))
    if len(one.attempts) > 1:
        for attempt in one.attempts:
            mark = "  (this one)" if attempt.attempt == record.attempt else ""
            label = "attempts" if attempt is one.attempts[0] else ""
            yield from _labelled(label, f"{attempt.attempt}  {attempt.state:7}  {attempt.folder}{mark}")
    yield from _labelled("links", _links(record))
    yield from _stages(one)
    if one.figures:
        yield ""
        yield from _wrapped(f"{_part(one.figures)}: {_figures(one.figures)}", "", "  ")
    yield from _verdict(one)
    yield ""
    yield from _labelled("page", one.page or "")
    yield from _labelled("workspace", one.workspace or "")
    yield from _labelled("kept in", record.folder)
    yield from (line for problem in one.problems[:_MOST_PROBLEMS] for line in _wrapped(f"note: {problem}", "", "  "))


def compared(a: Evidence, b: Evidence, found: Comparison) -> Iterator[str]:
    """Yield the lines on how two runs differ."""
    width = max(len(a.record.id), len(b.record.id))
    for name, one in (("A", a), ("B", b)):
        state = ", ".join(filter(None, (one.record.state, one.record.outcome)))
        yield f"{name}  {one.record.id:{width}}  {_moment(one.record.start)}  {one.record.driver:7}  {state}"
    yield ""
    if found.is_same:
        yield "nothing differs" + ("" if found.unknown else ": same recipe, files, data, figures and verdict")
        yield ""
    yield from _recipes(found.recipe)
    yield from _files(found.files)
    yield from _references(found.references)
    if any(figure.a != figure.b for figure in found.figures):
        yield from _figure_table(found)
    yield from _verdicts(found.verdicts)
    yield from _times(found.seconds)
    for unknown in found.unknown:
        yield from _wrapped(f"note: {unknown}", "", "  ")


def _columns() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def _wrapped(text: str, first: str, later: str | None = None) -> list[str]:
    rest = first if later is None else later
    return textwrap.wrap(text, _columns(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(text, f"{label:{_LABEL}}", " " * _LABEL) if text else []


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def _asked(record: RunRecord) -> str:
    who = record.asked_by or ("Airflow" if record.driver == "airflow" else "the command line")
    driver = f" through {record.driver}" if record.asked_by else ""
    dag = f", DAG {record.dag_id}, run {record.dag_run_id}" if record.dag_id else ""
    return f"{who}{driver}{dag}" + (f": {record.reason}" if record.reason else "")


def _when(record: RunRecord) -> str:
    began = f"{_moment(record.start)} UTC"
    if record.end is None:
        return began
    took = datetime.fromisoformat(record.end) - datetime.fromisoformat(record.start)
    return f"{began}, took {duration(took.total_seconds())}"


def _recipe(record: RunRecord) -> str:
    said = [record.config] if record.config else []
    said += [f"{key}={_value(value)}" for key, value in record.overrides.items()]
    said += [f"until {record.until}"] if record.until else []
    said += ["every stage forced"] if record.is_forced else []
    return ", ".join(said) or "params.yaml as it stood"


def _photograph(one: Evidence) -> str:
    digest = one.record.photograph
    if digest is None:
        return "no photograph was taken"
    if one.photograph is None:
        return f"photograph {digest[:_DIGEST]}, which is not here"
    own = f"photograph {digest[:_DIGEST]}: {number(len(one.photograph.files), 'file')}, {size(one.size_bytes or 0)}"
    references = [f"{path}: {_reference(reference)}" for path, reference in one.photograph.references.items()]
    return "; ".join([own, *references])


def _reference(reference: Reference | None) -> str:
    return f"{number(reference.files, 'file')}, {size(reference.bytes)}" if reference else "not there"


def _commit(record: RunRecord) -> str:
    if record.commit is None:
        return ""
    differs = {True: ", from which files differed", False: "", None: ", whether files differed is not known"}
    return record.commit[:_DIGEST] + differs[record.is_dirty]


def _links(record: RunRecord) -> str:
    same = f"found the result of run {record.same_as}" if record.same_as else ""
    repeats = f"repeats run {record.repeats}" if record.repeats else ""
    return "; ".join(filter(None, (same, repeats)))


def _stages(one: Evidence) -> Iterator[str]:
    if one.report is None or not one.report.stages:
        return
    stages = one.report.stages
    name_width = max(len(stage.name) for stage in stages)
    width = _columns() - name_width - 27
    yield ""
    yield f"{'stage':{name_width}}  {'what happened':{width}}  {'time':>10}  {'start-up':>10}"
    for stage in stages:
        what = _cut(f"FAILED: {stage.what}" if stage.outcome == "failed" else stage.what or stage.outcome, width)
        time, startup = (
            duration(seconds) if seconds is not None else "" for seconds in (stage.seconds, stage.startup_seconds)
        )
        yield f"{stage.name:{name_width}}  {what:{width}}  {time:>10}  {startup:>10}".rstrip()
    yield from _time_spent(one.report)


def _time_spent(report: RunReport) -> Iterator[str]:
    kinds = (
        ("start-up", report.startup_seconds),
        ("work", report.work_seconds),
        ("waiting, when no stage runs", report.waiting_seconds),
    )
    told = [f"{duration(seconds)} {kind}" for kind, seconds in kinds if seconds is not None]
    if report.seconds is not None and told:
        yield from _wrapped(f"{duration(report.seconds)} in all: {', '.join(told)}", "")


def _part(figures: Figures) -> str:
    return f"{figures.part} part" + (f", epoch {figures.epoch}" if figures.epoch is not None else "")


def _figures(figures: Figures) -> str:
    declared = metrics_of_task(figures.task)
    names = [name for name in declared if name in figures.values]
    names += [name for name in figures.values if name not in declared]
    said = []
    for name in names:
        metric = declared.get(name)
        title = metric.title if metric else name.replace("_", " ")
        unit = figures.units.get(name, metric.unit if metric else "")
        unit = f" {unit}" if unit else ""
        said.append(f"{title} {_figure(figures.values[name])}{unit}")
    return " · ".join(said)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return count(value) if isinstance(value, int) else f"{value:.4f}"


def _verdict(one: Evidence) -> Iterator[str]:
    verdict = one.verdict
    if verdict is None:
        return
    failed = [check for check in verdict.checks if not check.has_passed]
    champion = f"champion v{verdict.champion.version}" if verdict.champion else "no champion"
    passed = sum(check.outcome == "pass" for check in verdict.checks)  # one that is switched off has not
    yield ""
    yield f"verdict: {verdict.outcome}, {passed} of {number(len(verdict.checks), 'check')} passed, against {champion}"
    for check in failed[:_MOST_FAILED_CHECKS]:
        yield from _wrapped(f"failed: {check.sentence}", "  ", "    ")
    if len(failed) > _MOST_FAILED_CHECKS:
        yield f"  and {len(failed) - _MOST_FAILED_CHECKS} more"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # text in quotes: "1" is not 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _recipes(recipe: Mapping[str, Pair[Any]]) -> Iterator[str]:
    if not recipe:
        return
    yield f"recipe: {number(len(recipe), 'value')} {'differs' if len(recipe) == 1 else 'differ'}"
    rows = [(key, _shown(pair.a), _shown(pair.b)) for key, pair in recipe.items()]
    yield from _table(("", "A", "B"), rows[:_MOST_KEYS])
    if len(rows) > _MOST_KEYS:
        yield f"  and {len(rows) - _MOST_KEYS} more: --json has all"
    yield ""


def _shown(value: Any) -> str:
    return "–" if value is None else _cut(_value(value), _LONGEST_VALUE)


def _files(files: Sequence[FileChange]) -> Iterator[str]:
    if not files:
        return
    code = sum(file.is_code for file in files)
    said = f", {code} of them code" if code else ""
    yield f"files: {number(len(files), 'file')} {'differs' if len(files) == 1 else 'differ'}{said}"
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        groups.setdefault((not file.is_code, folder, file.change), []).append(name)
    folders = sorted(groups.items())
    for (_, folder, change), names in folders[:_MOST_FOLDERS]:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        where = f"{folder}/: " if folder else ""
        yield from _wrapped(f"{change:9}  {where}{', '.join(names[:_MOST_NAMES])}{more}", "  ", " " * 13)
    if len(folders) > _MOST_FOLDERS:
        rest = sum(len(names) for _, names in folders[_MOST_FOLDERS:])
        yield f"  and {number(rest, 'file')} in other folders: --json has all"
    yield ""


def _references(references: Mapping[str, Pair[Reference]]) -> Iterator[str]:
    if not references:
        return
    yield "data: what the runs read in place differs"
    yield from _table(
        ("", "A", "B"), [(path, _reference(pair.a), _reference(pair.b)) for path, pair in references.items()]
    )
    yield ""


def _figure_table(found: Comparison) -> Iterator[str]:
    yield f"figures of the {found.parts.a or found.parts.b} part"
    rows = [
        (figure.title, _figure(figure.a), _figure(figure.b), _difference(figure), figure.b_is, figure.unit)
        for figure in found.figures
    ]
    yield from _table(("", "A", "B", "B − A", "B is", ""), rows, right=(1, 2, 3))
    yield ""


def _difference(figure: FigureChange) -> str:
    if figure.difference is None:
        return ""
    return f"{figure.difference:+d}" if isinstance(figure.difference, int) else f"{figure.difference:+.4f}"


def _verdicts(verdicts: Pair[str]) -> Iterator[str]:
    if verdicts.a == verdicts.b:
        return
    yield "verdict"
    yield from _wrapped(verdicts.a or "none", "  A  ", "     ")
    yield from _wrapped(verdicts.b or "none", "  B  ", "     ")
    yield ""


def _times(seconds: Mapping[str, Pair[float]]) -> Iterator[str]:
    rows = [
        (name, *(duration(one) if one is not None else "–" for one in (pair.a, pair.b)), _slower(pair))
        for name, pair in seconds.items()
    ]
    if rows:
        yield "time"
        yield from _table(("", "A", "B", "B − A"), rows, right=(1, 2, 3))


def _slower(pair: Pair[float]) -> str:
    return "" if pair.a is None or pair.b is None else f"{round(pair.b - pair.a, 1) + 0.0:+.1f} s"  # no −0.0


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [
            f"{cell:>{width}}" if column in right else f"{cell:{width}}"
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()
