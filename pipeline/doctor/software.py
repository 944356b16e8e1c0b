"""Checks of the software: Python, `.venv`, Java, the compiler, packages, Horovod."""

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
from pathlib import Path

from pipeline.doctor.health import HealthCheck
from pipeline.runtime import surroundings

STAMP = Path(".venv/setup.sha256")  # written by scripts/setup.sh as its last step
LOCK = Path("requirements/pipeline.txt")
GPU_LOCK = Path("requirements/pipeline_gpu.txt")  # of the image with GPUs

_LOCKED = re.compile(r"^([a-z0-9][\w.-]*)(?:\[[\w,-]+\])?==([^\s;\\]+)", re.MULTILINE)

# Spark 4 runs on Java 17 and 21; Java 24 removed the security manager that Hadoop still calls.
JAVA_OLDEST, JAVA_TOO_NEW = 17, 24
JAVA_MODULE = "jdk.incubator.vector"


def check_python() -> HealthCheck:
    """Python 3.11, for which the lock files were made."""
    is_ok = sys.version_info[:2] == (3, 11)
    return HealthCheck("python", is_ok, f"Python {platform.python_version()}", "" if is_ok else "make setup")


def check_environment(root: Path) -> HealthCheck:
    """`.venv` was set up from the current lock files, and holds what they name: those with GPUs, or without."""

    def bad(found: str) -> HealthCheck:
        return HealthCheck("environment", False, found, f"cd {shlex.quote(str(root))} && rm -f {STAMP} && make setup")

    try:
        first, *lines = (root / STAMP).read_text().splitlines()
        if first != f"# {root.resolve()}":
            return bad(".venv was set up for another folder")
        named = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        for name, digest in named.items():
            if hashlib.sha256((root / name).read_bytes()).hexdigest() != digest:
                return bad(f"{name} has changed since .venv was set up")
        lock = GPU_LOCK if str(GPU_LOCK) in named else LOCK
        locked = dict(_LOCKED.findall((root / lock).read_text()))
    except (OSError, ValueError):
        return bad("set-up has not finished in this folder")
    installed = _installed(root)
    for name, version in locked.items():
        if (there := installed.get(name)) != version:
            return bad(f"{name} {version} is locked, {there or 'none'} is installed")
    return HealthCheck("environment", True, f".venv holds the {len(locked)} locked packages")


def _installed(root: Path) -> dict[str, str]:
    """Name and version of each package in `.venv`, read from the names of its metadata folders."""
    versions = {}
    for folder in (root / ".venv" / "lib" / "python3.11" / "site-packages").glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        versions[re.sub(r"[-_.]+", "-", name).lower()] = version
    return versions


def check_java() -> HealthCheck:
    """The Java that Spark would start: `$JAVA_HOME/bin/java` if JAVA_HOME is set, else `java` on PATH."""
    home = os.environ.get("JAVA_HOME")
    where = f"JAVA_HOME={home}" if home else "PATH"
    remedy = "unset JAVA_HOME" if home else _apt(_java_package())
    java = shutil.which(f"{home}/bin/java") if home else shutil.which("java")
    if java is None:
        return HealthCheck("java", False, f"Java {JAVA_OLDEST} or 21 is missing ({where} has no java)", remedy)
    try:
        command = [java, "--list-modules"]
        environment = surroundings.chosen(os.environ, Path("/"))  # as a run starts it
        listed = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return HealthCheck("java", False, f"{java} does not run: {error}", remedy)
    version = re.search(r"^java\.base@(\d+)(\S*)", listed, re.MULTILINE)
    if version is None or not JAVA_OLDEST <= int(version[1]) < JAVA_TOO_NEW:
        found = f"Java {version[1]}" if version else "older than Java 9"
        return HealthCheck("java", False, f"{java} is {found}; Spark 4 needs {JAVA_OLDEST} or 21", remedy)
    if not re.search(rf"^{re.escape(JAVA_MODULE)}@", listed, re.MULTILINE):
        found = f"{java} is a trimmed Java without the module {JAVA_MODULE}, which Spark 4 needs"
        return HealthCheck("java", False, found, remedy)
    return HealthCheck("java", True, f"Java {version[1]}{version[2]} with {JAVA_MODULE}")


def _java_package() -> str:
    """Return the JRE's package: Debian dropped OpenJDK 17 after release 12 (testing has no number); Ubuntu has both."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    number = release.get("VERSION_ID", "").partition(".")[0]
    is_newer_debian = release.get("ID") == "debian" and (not number.isdigit() or int(number) >= 13)
    return "openjdk-21-jre-headless" if is_newer_debian else "openjdk-17-jre-headless"


def _apt(package: str) -> str:
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install -y {package}"


def check_compiler() -> HealthCheck:
    """A C++ compiler; only building the Horovod wheel needs it, so it may be missing if Horovod is installed."""
    if found := shutil.which("g++"):
        return HealthCheck("c++ compiler", True, found)
    if installed_version("horovod"):
        return HealthCheck("c++ compiler", True, "none; not needed, as Horovod is built")
    return HealthCheck("c++ compiler", False, "no g++ on PATH: Horovod cannot be built", _apt("g++"))


def check_package(name: str, *distributions: str) -> HealthCheck:
    """One of these distributions is installed."""
    for distribution in distributions:
        if version := installed_version(distribution):
            return HealthCheck(name, True, f"{distribution} {version}")
    return HealthCheck(name, False, f"{distributions[0]} is not installed", "make setup")


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, from its metadata."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_horovod(workers: int) -> HealthCheck:
    """Horovod's TensorFlow library exists and was built for the installed TensorFlow; one worker needs none."""
    tensorflow = installed_version("tensorflow-cpu") or installed_version("tensorflow")
    try:
        horovod = importlib.metadata.distribution("horovod")
    except importlib.metadata.PackageNotFoundError:
        if workers == 1:
            return HealthCheck("horovod", True, "not installed; one worker trains without it")
        return HealthCheck("horovod", False, "Horovod is not installed", "make setup")
    folder = Path(str(horovod.locate_file("horovod")))
    cache = '"${RATCHET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ratchet}"'
    again = f"rm -rf {cache}/wheels {STAMP} && make setup"
    try:
        # Horovod's build records the TensorFlow it was built with.
        built_for = json.loads((folder / "metadata.json").read_text()).get("tensorflow")
    except (OSError, ValueError):
        built_for = None
    if built_for is None or not any((folder / "tensorflow").glob("mpi_lib*.so")):
        return HealthCheck("horovod", False, f"Horovod {horovod.version} was built without TensorFlow", again)
    if built_for != tensorflow:
        found = (
            f"Horovod {horovod.version} was built for TensorFlow {built_for}, but {tensorflow or 'none'} is installed"
        )
        return HealthCheck("horovod", False, found, again)
    return HealthCheck("horovod", True, f"Horovod {horovod.version}, built for TensorFlow {built_for}")


def has_nccl() -> bool:
    """Return whether the installed Horovod was built for NCCL: its library then calls it by name."""
    try:
        folder = Path(str(importlib.metadata.distribution("horovod").locate_file("horovod")))
        return any(b"ncclAllReduce" in path.read_bytes() for path in (folder / "tensorflow").glob("mpi_lib*.so"))
    except (importlib.metadata.PackageNotFoundError, OSError):
        return False
