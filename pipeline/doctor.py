"""What the pipeline needs from this machine: what is there, what is missing, and the line to paste.

`examine` is behind `ratchet doctor`; `require_java` and `require_horovod` stand first in what would otherwise fail
minutes later with a stack trace. Nothing heavy is imported: versions come from the installed packages' metadata, so the
whole examination takes well under a second and works where TensorFlow does not even load.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

GIB = 1024**3
STAMP = Path(".venv/setup.sha256")  # written by scripts/setup.sh, last of all
LOCK = Path("requirements/pipeline.txt")

# Spark 4 runs on Java 17 and 21; Java 24 took away the security manager that Hadoop still calls.
JAVA_OLDEST, JAVA_TOO_NEW = 17, 24
JAVA_MODULE = "jdk.incubator.vector"

DISK_NEEDED_GIB = 3.0  # Spark's shuffle, DVC's cache and a run's work tree, for all 70 000 images
SPARK_MEMORY_GIB = 1.5  # the JVM driver and its Python workers
WORKER_MEMORY_GIB = 1.0  # one training process: TensorFlow itself is half of it

_MASTER = re.compile(
    r"""local(\[(\*|[1-9]\d*)(,\s*[1-9]\d*)?\])?
      | local-cluster\[\s*[1-9]\d*\s*,\s*[1-9]\d*\s*,\s*[1-9]\d*\s*\]
      | spark://[^\s:/,]+:\d+(,[^\s:/,]+:\d+)*
      | k8s://\S+
      | yarn""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Check:
    """One thing the pipeline needs. `remedy` is one line that can be pasted, empty where there is nothing to do."""

    name: str
    is_ok: bool
    found: str
    remedy: str = ""


def examine(root: Path, *, spark_master: str, mlflow_uri: str, workers: int) -> list[Check]:
    """Check everything a run under `root` with these execution settings needs. Never raises: a failure is a Check."""
    return [
        check_python(),
        check_environment(root),
        check_java(),
        check_compiler(),
        check_git(),
        check_package("tensorflow", "tensorflow-cpu", "tensorflow"),
        check_horovod(workers),
        check_package("pyspark", "pyspark"),
        check_package("great expectations", "great-expectations"),
        check_dvc(root),
        check_store(root, mlflow_uri),
        check_spark_master(spark_master),
        check_cores(workers),
        check_memory(workers),
        check_disk(root),
        check_work_tree(root),
    ]


def require_java() -> None:
    """Raise UsageError if Spark could not start a Java that it runs on."""
    check = check_java()
    if not check.is_ok:
        raise UsageError(f"Spark cannot start: {check.found}. To mend it: {check.remedy}")


def require_horovod() -> None:
    """Raise UsageError if Horovod is missing or was built against another TensorFlow than the one installed."""
    check = check_horovod(workers=2)
    if not check.is_ok:
        raise UsageError(f"training with several workers cannot start: {check.found}. To mend it: {check.remedy}")


def check_python() -> Check:
    """Python 3.11, for which the lock files hold."""
    is_ok = sys.version_info[:2] == (3, 11)
    return Check("python", is_ok, f"Python {platform.python_version()}", "" if is_ok else "make setup")


def check_environment(root: Path) -> Check:
    """`.venv` was set up from the lock files as they are now, and holds what they name."""

    def bad(found: str) -> Check:
        return Check("environment", False, found, f"cd {shlex.quote(str(root))} && rm -f {STAMP} && make setup")

    try:
        first, *lines = (root / STAMP).read_text().splitlines()
        if first != f"# {root.resolve()}":
            return bad(".venv was set up for another folder")
        for line in lines:
            digest, _, name = line.partition("  ")
            if hashlib.sha256((root / name).read_bytes()).hexdigest() != digest:
                return bad(f"{name} has changed since .venv was set up")
        locked = dict(re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)", (root / LOCK).read_text(), re.MULTILINE))
    except (OSError, ValueError):
        return bad("set-up has not finished in this folder")
    installed = _installed(root)
    for name, version in locked.items():
        if (there := installed.get(name)) != version:
            return bad(f"{name} {version} is locked, {there or 'none'} is installed")
    return Check("environment", True, f".venv holds the {len(locked)} locked packages")


def _installed(root: Path) -> dict[str, str]:
    """Name and version of each package in `.venv`, read from the names of its metadata folders."""
    versions = {}
    for folder in (root / ".venv" / "lib" / "python3.11" / "site-packages").glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        versions[re.sub(r"[-_.]+", "-", name).lower()] = version
    return versions


def check_java() -> Check:
    """The Java that Spark would start: `$JAVA_HOME/bin/java` if JAVA_HOME is set, else `java` on PATH."""
    home = os.environ.get("JAVA_HOME")
    where = f"JAVA_HOME={home}" if home else "PATH"
    remedy = "unset JAVA_HOME" if home else _apt(_java_package())
    java = shutil.which(f"{home}/bin/java") if home else shutil.which("java")
    if java is None:
        return Check("java", False, f"Java {JAVA_OLDEST} or 21 is missing ({where} has no java)", remedy)
    try:
        command = [java, "--list-modules"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("java", False, f"{java} does not run: {error}", remedy)
    version = re.search(r"^java\.base@(\d+)(\S*)", listed, re.MULTILINE)
    if version is None or not JAVA_OLDEST <= int(version[1]) < JAVA_TOO_NEW:
        found = f"Java {version[1]}" if version else "older than Java 9"
        return Check("java", False, f"{java} is {found}; Spark 4 needs {JAVA_OLDEST} or 21", remedy)
    if not re.search(rf"^{re.escape(JAVA_MODULE)}@", listed, re.MULTILINE):
        found = f"{java} is a trimmed Java without the module {JAVA_MODULE}, which Spark 4 needs"
        return Check("java", False, found, remedy)
    return Check("java", True, f"Java {version[1]}{version[2]} with {JAVA_MODULE}")


def _java_package() -> str:
    """Debian dropped OpenJDK 17 after release 12; its testing release has no number. Ubuntu has both."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    number = release.get("VERSION_ID", "").partition(".")[0]
    is_newer_debian = release.get("ID") == "debian" and (not number.isdigit() or int(number) >= 13)
    return "openjdk-21-jre-headless" if is_newer_debian else "openjdk-17-jre-headless"


def _apt(package: str) -> str:
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install -y {package}"


def check_compiler() -> Check:
    """A C++ compiler; only building the Horovod wheel needs it, so one that is installed excuses it."""
    if found := shutil.which("g++"):
        return Check("c++ compiler", True, found)
    if _version("horovod"):
        return Check("c++ compiler", True, "none; not needed, as Horovod is built")
    return Check("c++ compiler", False, "no g++ on PATH: Horovod cannot be built", _apt("g++"))


def check_git() -> Check:
    """git, for DVC and for the work tree each run gets."""
    found = shutil.which("git")
    return Check("git", True, found) if found else Check("git", False, "no git on PATH", _apt("git"))


def check_package(name: str, *distributions: str) -> Check:
    """One of these distributions is installed."""
    for distribution in distributions:
        if version := _version(distribution):
            return Check(name, True, f"{distribution} {version}")
    return Check(name, False, f"{distributions[0]} is not installed", "make setup")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_horovod(workers: int) -> Check:
    """Horovod's TensorFlow library is there and was built against the installed TensorFlow; one worker needs none."""
    tensorflow = _version("tensorflow-cpu") or _version("tensorflow")
    try:
        horovod = importlib.metadata.distribution("horovod")
    except importlib.metadata.PackageNotFoundError:
        if workers == 1:
            return Check("horovod", True, "not installed; one worker trains without it")
        return Check("horovod", False, "Horovod is not installed", "make setup")
    folder = Path(str(horovod.locate_file("horovod")))
    cache = '"${RATCHET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ratchet}"'
    again = f"rm -rf {cache}/wheels {STAMP} && make setup"
    try:
        # Horovod's build writes down which TensorFlow it saw.
        built_for = json.loads((folder / "metadata.json").read_text()).get("tensorflow")
    except (OSError, ValueError):
        built_for = None
    if built_for is None or not any((folder / "tensorflow").glob("mpi_lib*.so")):
        return Check("horovod", False, f"Horovod {horovod.version} was built without TensorFlow", again)
    if built_for != tensorflow:
        found = (
            f"Horovod {horovod.version} was built for TensorFlow {built_for}, but {tensorflow or 'none'} is installed"
        )
        return Check("horovod", False, found, again)
    return Check("horovod", True, f"Horovod {horovod.version}, built for TensorFlow {built_for}")


def check_dvc(root: Path) -> Check:
    """DVC is installed and `root` is a git repository with DVC initialised."""
    here = f"cd {shlex.quote(str(root))} &&"
    if not (version := _version("dvc")):
        return Check("dvc", False, "dvc is not installed", "make setup")
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return Check("dvc", False, f"{root} is not in a git repository", f"{here} git init")
    if not (root / ".dvc" / "config").is_file():
        return Check("dvc", False, f"{root} has no .dvc/config", f"{here} .venv/bin/dvc init --force")
    return Check("dvc", True, f"dvc {version}, initialised")


def check_store(root: Path, uri: str) -> Check:
    """The MLflow store answers, or can be created where it is named."""
    from pipeline.reachability import probe, without_password

    trouble = probe(root, uri)
    found = without_password(uri)
    return (
        Check("mlflow store", False, f"{found}: {trouble.what}", trouble.remedy)
        if trouble
        else Check("mlflow store", True, found)
    )


def check_spark_master(master: str) -> Check:
    """The address has one of the forms that Spark knows; nothing is contacted."""
    if _MASTER.fullmatch(master):
        return Check("spark master", True, master)
    found = f"'{master}' is none of local[N], spark://host:port, k8s://…, yarn"
    return Check("spark master", False, found, "ratchet run --execution 'spark.master=local[2]'")


def check_cores(workers: int) -> Check:
    """A core for each worker."""
    cores = len(os.sched_getaffinity(0))
    if workers <= cores:
        return Check("cores", True, f"{cores} cores for {workers} workers")
    found = f"{cores} cores for {workers} workers: they would wait for each other"
    return Check("cores", False, found, f"ratchet run --execution horovod.workers={cores}")


def check_memory(workers: int) -> Check:
    """Memory for the larger of the two: Spark, or the workers. They never run at once."""
    available_gib = _available_memory() / GIB
    needed_gib = max(SPARK_MEMORY_GIB, workers * WORKER_MEMORY_GIB)
    found = f"{available_gib:.1f} GiB available, {needed_gib:.1f} GiB needed"
    if available_gib >= needed_gib:
        return Check("memory", True, found)
    fits = int(available_gib / WORKER_MEMORY_GIB)
    remedy = f"ratchet run --execution horovod.workers={fits}" if 1 <= fits < workers else "ps aux --sort=-rss | head"
    return Check("memory", False, found, remedy)


def _available_memory() -> int:
    """Bytes that may still be used: the machine's, or the container's (cgroup v2) where that is less."""
    meminfo = Path("/proc/meminfo").read_text()
    machine = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    available = int(machine[1]) * 1024 if machine else 0
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return available if limit == "max" else min(available, int(limit) - int(used))
    except (OSError, ValueError):
        return available


def check_disk(root: Path) -> Check:
    """Room for a run on the disk that holds `root`."""
    free_gib = shutil.disk_usage(root).free / GIB
    found = f"{free_gib:.1f} GiB free, {DISK_NEEDED_GIB:.1f} GiB needed"
    is_ok = free_gib >= DISK_NEEDED_GIB
    return Check("disk", is_ok, found, "" if is_ok else f"cd {shlex.quote(str(root))} && .venv/bin/dvc gc --workspace")


def check_work_tree(root: Path) -> Check:
    """A file can be written in `root`. Asking the permission bits is not enough: the disk may be mounted read-only."""
    try:
        with tempfile.NamedTemporaryFile(dir=root, prefix=".doctor-"):
            return Check("work tree", True, f"{root} is writable")
    except OSError as error:
        remedy = f'sudo chown -R "$(id -u):$(id -g)" {shlex.quote(str(root))}'
        return Check("work tree", False, f"{root} is not writable: {error.strerror}", remedy)
