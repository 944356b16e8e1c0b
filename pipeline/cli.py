"""The command `ratchet`. Each command imports what it needs when it runs: start-up and the no-op run stay quick."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline import graph, workspace
from pipeline.errors import RatchetError, UsageError, as_full_disk, nearest

if TYPE_CHECKING:
    from pipeline.registry.store import Store

_BUG_EXIT_CODE = 70
_TRACEBACK_FILE = Path(".ratchet") / "traceback.txt"
_EXIT_CODES = """\
exit codes: 0 done (a refused candidate is a normal outcome) · 2 usage, recipe or set-up · 65 data or contract ·
            70 bug · 74 input/output · 75 try again · 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    """One line for an error, with the nearest valid command."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in given
    try:
        options = _parser().parse_args(_corrected([word for word in given if word != "--debug"]))
        return int(options.handler(options) or 0)
    except RatchetError as error:
        if is_debug:
            traceback.print_exc()
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted; what was finished is kept, run again to go on", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
        return 0
    except Exception as error:  # the last resort: a bug becomes one line, and its traceback a file
        if is_debug:
            raise
        if full := as_full_disk(error):
            return _complain(str(full), full.exit_code)
        return _complain(_as_bug(error), _BUG_EXIT_CODE)


def _complain(message: str, exit_code: int) -> int:
    print(f"ratchet: {message}", file=sys.stderr)  # noqa: T201
    return exit_code


def _as_bug(error: BaseException) -> str:
    text = " ".join(f"bug: {type(error).__name__}: {error}".split())
    try:
        _TRACEBACK_FILE.parent.mkdir(exist_ok=True)
        _TRACEBACK_FILE.write_text(traceback.format_exc())
    except OSError:
        return f"{text}; run again with --debug to see where"
    return f"{text}; where: {_TRACEBACK_FILE}"


def _corrected(words: list[str]) -> list[str]:
    """Refuse an unknown command with the nearest one, which argparse does not name."""
    commands = list(_COMMANDS)
    if words and not words[0].startswith("-") and words[0] not in commands:
        raise UsageError(f"no command '{words[0]}'{nearest(words[0], commands)}")
    return words


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ratchet",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Retrain a model; replace the one in use only when the new one is provably at least as good.",
        epilog="examples:\n  ratchet run                          bring everything up to date\n"
        "  ratchet run --set train.epochs=3     try a change in a run of its own\n"
        "  ratchet registry list                the models published so far\n\n"
        "Every command takes --debug: a traceback instead of one line.\n" + _EXIT_CODES,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, (summary, examples, fill, handler) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"examples:\n{examples}\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        fill(command)
        if handler:
            command.set_defaults(handler=handler)
    return parser


def _fill_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="a file in configs/: recipe changes for this run")
    command.add_argument("--force", action="store_true", help="run every stage, even what is up to date")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override the recipe for this run"
    )
    command.add_argument(
        "--execution", action="append", default=[], metavar="KEY=VALUE", help="override execution.yaml for this run"
    )


def _fill_stage(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="a stage of dvc.yaml")


def _fill_graph(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=("text", "mermaid", "json"), default="text", help="how to print it")


def _fill_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for programs")


def _fill_nothing(_: argparse.ArgumentParser) -> None:
    return


def _fill_registry(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_Parser)
    listing = actions.add_parser("list", help="all versions, newest first")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(handler=_registry_list)
    showing = actions.add_parser("show", help="one version: its figures and where it comes from")
    showing.add_argument("version", nargs="?", default="champion", help="a version number or an alias (champion)")
    showing.add_argument("--json", action="store_true", help="for programs")
    showing.set_defaults(handler=_registry_show)
    promoting = actions.add_parser("promote", help="make a version the champion by hand; kept with who, when and why")
    promoting.add_argument("version", help="a version number")
    promoting.add_argument("--reason", required=True, help="why the gate is overridden; kept with the version")
    promoting.set_defaults(handler=_registry_promote)
    rolling = actions.add_parser("rollback", help="give the champion's place back to the one before")
    rolling.add_argument("--to", metavar="VERSION", help="a certain version instead of the one before")
    rolling.add_argument("--reason", required=True, help="why; kept with the version")
    rolling.set_defaults(handler=_registry_rollback)
    for action in (listing, showing, promoting, rolling):
        action.add_argument("--name", help="registered model (default: the recipe's name)")


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"{option} {text}: expected KEY=VALUE, like {option} train.epochs=3")
        pairs[key] = value
    return pairs


def _values(texts: Sequence[str]) -> dict[str, Any]:
    from pipeline.params import parse_yaml_value

    return {key: parse_yaml_value(text, f"--set {key}") for key, text in _pairs(texts, "--set").items()}


def _run(options: argparse.Namespace) -> int:
    from pipeline import run

    root = workspace.find_root(Path.cwd())
    request = run.Request(
        options.config, _values(options.set), _pairs(options.execution, "--execution"), is_forced=options.force
    )
    outcome = run.run(root, request)
    stages = len(graph.load_graph(root).stages)
    verdict, registration = outcome.verdict, outcome.registration
    if outcome.is_unchanged:
        _say(f"nothing changed: {stages} stages up to date")
    _say(f"verdict: {str(verdict['outcome']).upper()}  {verdict['reason']}")
    if registration.get("sentence"):
        _say(f"registry: {registration['sentence']}")
    _say(f"report: {_relative(outcome.page)}")
    return 0


def _stage(options: argparse.Namespace) -> int:
    import importlib

    from pipeline import processes
    from pipeline.stages.context import StageContext

    if "DVC_STAGE" in os.environ:
        processes.die_with_driver()
    root = workspace.find_root(Path.cwd())
    _require_code_of(root)
    context = StageContext.load(root, options.name)
    context.progress.begin()
    try:
        summary = importlib.import_module(f"pipeline.stages.{options.name}").run(context)
        context.check_imports()
    except RatchetError as error:
        context.progress.fail(str(error), error.exit_code)
        raise
    except Exception as error:
        if full := as_full_disk(error):
            context.progress.fail(str(full), full.exit_code)
            raise full from error
        context.progress.fail(_as_bug(error), _BUG_EXIT_CODE)
        raise
    context.progress.finish(summary, **_peak_memory_mib())
    if "DVC_STAGE" in os.environ:
        processes.leave(0)
    return 0


def _require_code_of(root: Path) -> None:
    code = Path(__file__).resolve().parent
    if code != (root / "pipeline").resolve():
        raise UsageError(
            f"this `ratchet` runs the code in {code}, but the folder is {root}: use that folder's own .venv, "
            f"or set PYTHONPATH={root}"
        )


def _peak_memory_mib() -> dict[str, float]:
    # ru_maxrss is in KiB on Linux; of the children (JVM, ranks) it is the largest single one.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"peak_memory_mib": round(own, 1), "peak_memory_of_children_mib": round(children, 1)}


def _graph(options: argparse.Namespace) -> int:
    loaded = graph.load_graph(workspace.find_root(Path.cwd()))
    if options.format == "json":
        stages = [{"name": s.name, "deps": s.deps, "outs": s.outs, "params": s.params} for s in loaded.stages]
        _say(json.dumps({"stages": stages, "edges": sorted(loaded.edges)}, indent=2))
    elif options.format == "mermaid":
        _say("flowchart LR")
        for parent, child in sorted(loaded.edges):
            _say(f"  {parent} --> {child}")
    else:
        width = max(len(stage.name) for stage in loaded.stages)
        for stage in loaded.stages:
            after = ", ".join(parent.name for parent in loaded.parents(stage))
            _say(f"{stage.name:{width}}  {stage.description}" + (f"  (after {after})" if after else ""))
    return 0


def _report(_: argparse.Namespace) -> int:
    from pipeline.artifacts import write_file
    from pipeline.evaluation.page import render
    from pipeline.report import PAGE

    root = workspace.find_root(Path.cwd())
    write_file(root / PAGE, render(root))
    _say(f"report: {_relative(root / PAGE)}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from pipeline import doctor
    from pipeline.execution import load_execution

    root = workspace.find_root(Path.cwd())
    execution = load_execution(root)
    checks = doctor.examine(
        root,
        spark_master=execution.spark.master,
        mlflow_uri=execution.mlflow.uri,
        workers=execution.horovod.workers,
    )
    if options.json:
        _say(json.dumps([vars(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            _say(f"{'✓' if check.is_ok else '✗'} {check.name:{width}}  {check.found}")
            if not check.is_ok:
                _say(f"  {'':{width}}  → {check.remedy}")
    return 0 if all(check.is_ok for check in checks) else UsageError.exit_code


def _fill_runs(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_Parser)
    listing = actions.add_parser("list", help="all runs, newest first")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(handler=_runs_list)
    opening = actions.add_parser("open", help="begin a run that is driven in steps: make its worktree")
    opening.add_argument("request", type=Path, metavar="FILE", help="what is asked, as JSON; - for standard input")
    opening.set_defaults(handler=_runs_open)
    staging = actions.add_parser("stage", help="bring one stage of an open run up to date")
    staging.add_argument("id", metavar="ID")
    staging.add_argument("name", metavar="STAGE")
    staging.set_defaults(handler=_runs_stage)
    closing = actions.add_parser("close", help="end an open run: keep what it made, remove its worktree")
    closing.add_argument("id", metavar="ID")
    closing.add_argument("--state", choices=("success", "failed"), required=True, help="how it ended")
    closing.add_argument("--because", default="", metavar="TEXT", help="why, in one line")
    closing.set_defaults(handler=_runs_close)
    sweeping = actions.add_parser("sweep", help="remove the worktrees that runs have left behind")
    sweeping.set_defaults(handler=_runs_sweep)


def _runs_list(options: argparse.Namespace) -> int:
    from pipeline import history

    records = history.list_runs(workspace.find_root(Path.cwd()))
    if options.json:
        _say(json.dumps([record.to_json() for record in records], indent=2))
    elif not records:
        _say("no runs yet; `ratchet run` makes the first")
    for record in records if not options.json else ():
        _say(f"{record.start}  {record.driver:7}  {record.state:7}  {record.outcome or '':9}  {record.folder}")
    return 0


def _runs_open(options: argparse.Namespace) -> int:
    from pipeline import opening

    root = workspace.find_root(Path.cwd())
    record = opening.open_run(root, opening.read_request(options.request), dict(os.environ))
    if record.sentence:
        _say(record.sentence)
    if record.same_as is None:
        _say(f"open: {record.id} in {workspace.WORKTREES}/{record.id}")
    return 0


def _runs_stage(options: argparse.Namespace) -> int:
    from pipeline import processes, stepwise

    if "RATCHET_LIFELINE" in os.environ:
        processes.die_with_input()
    stepwise.run_stage(workspace.find_root(Path.cwd()), options.id, options.name)
    return 0


def _runs_close(options: argparse.Namespace) -> int:
    from pipeline import stepwise

    record = stepwise.close_run(workspace.find_root(Path.cwd()), options.id, options.state, options.because)
    _say(f"{record.state}: {record.outcome or 'no verdict'}, {record.sentence}")
    _say(f"kept: {record.folder}")
    return 0


def _runs_sweep(_: argparse.Namespace) -> int:
    from pipeline import stepwise

    gone = stepwise.sweep(workspace.find_root(Path.cwd()), dict(os.environ))
    _say(f"removed {len(gone)} worktrees" + (f": {', '.join(gone)}" if gone else ""))
    return 0


def _store_and_name(options: argparse.Namespace) -> tuple[Store, str]:
    from pipeline.execution import load_execution
    from pipeline.params import load_recipe
    from pipeline.registry.store import resolve_store

    root = workspace.find_root(Path.cwd())
    return resolve_store(root, load_execution(root).mlflow), options.name or load_recipe(root).name


def _registry_list(options: argparse.Namespace) -> int:
    from pipeline.registry import registry

    store, name = _store_and_name(options)
    versions = registry.list_versions(store, name)[::-1]
    if options.json:
        _say(json.dumps([version.to_json() for version in versions], indent=2))
    elif not versions:
        _say(f"{name}: nothing published yet")
    for version in versions if not options.json else ():
        accuracy = version.metrics.get("accuracy")
        figures = f"accuracy {accuracy:.4f}" if accuracy is not None else ""
        _say(
            f"v{version.version:<4} {', '.join(version.aliases):10}  {version.outcome:8}  {figures:16}  "
            f"{version.digest[:19]}  {version.created_at_utc}"
        )
    return 0


def _registry_show(options: argparse.Namespace) -> int:
    from pipeline.registry import registry

    store, name = _store_and_name(options)
    version = registry.show(store, name, options.version).to_json()
    if options.json:
        _say(json.dumps(version, indent=2))
        return 0
    for key, value in version.items():
        _say(f"{key:16}  {json.dumps(value) if isinstance(value, dict | list) else value}")
    return 0


def _registry_promote(options: argparse.Namespace) -> int:
    from pipeline.registry import registry

    store, name = _store_and_name(options)
    _say(registry.promote(store, name, options.version, reason=options.reason))
    return 0


def _registry_rollback(options: argparse.Namespace) -> int:
    from pipeline.registry import registry

    store, name = _store_and_name(options)
    _say(registry.rollback(store, name, reason=options.reason, to=options.to))
    return 0


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def _say(text: str) -> None:
    print(text)  # noqa: T201


_Fill = Callable[[argparse.ArgumentParser], None]
_Handler = Callable[[argparse.Namespace], Any]
_COMMANDS: dict[str, tuple[str, str, _Fill, _Handler | None]] = {
    "run": (
        "bring the graph up to date: train, judge and, if it is at least as good, publish",
        "  ratchet run\n  ratchet run --set train.epochs=3 --set train.learning_rate=1e-3\n"
        "  ratchet run --config configs/fashion_mnist_full.yaml --execution horovod.workers=4",
        _fill_run,
        _run,
    ),
    "runs": (
        "look at the runs so far; drive one in steps, as Airflow does",
        "  ratchet runs list --json\n  ratchet runs sweep\n"
        '  echo \'{"id": "try-1", "overrides": {"train.epochs": 3}}\' | ratchet runs open -\n'
        "  ratchet runs stage try-1 ingest\n  ratchet runs close try-1 --state success",
        _fill_runs,
        None,
    ),
    "stage": ("run one stage, as dvc.yaml does", "  ratchet stage clean\n  dvc repro clean", _fill_stage, _stage),
    "graph": (
        "show the stages and what each waits for",
        "  ratchet graph\n  ratchet graph --format mermaid",
        _fill_graph,
        _graph,
    ),
    "report": ("write reports/index.html from what is there", "  ratchet report", _fill_nothing, _report),
    "doctor": ("say what is there, what is missing and what to do", "  ratchet doctor", _fill_json, _doctor),
    "registry": (
        "look at the published models, promote one by hand, or roll back",
        "  ratchet registry list --json\n  ratchet registry show champion\n"
        '  ratchet registry promote 3 --reason "approved by the on-call"\n'
        '  ratchet registry rollback --reason "worse on the new cameras"',
        _fill_registry,
        None,
    ),
}
