"""Compile the C++ kernels: ``python -m drrobot_ros.native.build``.

Every ``src/*.cpp`` goes into one shared library, compiled once per instruction set. Only the
standard library and a C++17 compiler are needed; nothing is compiled again unless a source, a flag
or the compiler changed.
"""

import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from drrobot_ros.errors import BackendError

SOURCE_DIR = Path(__file__).parent / "src"
FLAGS = ["-O3", "-std=c++17", "-fPIC", "-pthread"]
# Rounding may differ from the source's order; NaN and infinity keep their meaning.
FLAGS += ["-ffast-math", "-fno-finite-math-only"]
# GCC 12 warns of its own vector headers.
WARNINGS = ["-Wall", "-Wextra", "-Wno-psabi", "-Wno-uninitialized", "-Wno-maybe-uninitialized"]
X86_VARIANTS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw"],
}


def variants() -> dict[str, list[str]]:
    """Return the instruction sets compiled on this kind of processor and their compiler flags."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return X86_VARIANTS
    return {"baseline": []}


def library_dir() -> Path:
    """Return the folder of the compiled libraries.

    It is ``lib/`` beside this file, or where that cannot be written a folder of the user's cache;
    the environment variable ``DRROBOT_NATIVE_DIR`` names another.
    """
    chosen = os.environ.get("DRROBOT_NATIVE_DIR")
    if chosen:
        return Path(chosen)
    beside = Path(__file__).parent / "lib"
    if beside.is_dir() or os.access(beside.parent, os.W_OK):
        return beside
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "drrobot_ros" / "native"


def library_path(isa: str) -> Path:
    """Return where the library of one instruction set is or would be."""
    return library_dir() / f"libdrrobot_{isa}.so"


def find_compiler() -> list[str] | None:
    """Return the compiler's command: ``$CXX``, else g++, c++ or clang++; None if there is none."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in names:
        command = shlex.split(name)
        if command and shutil.which(command[0]):
            return command
    return None


def fingerprint(flags: list[str]) -> str:
    """Return a hash of all sources and of the given flags."""
    digest = hashlib.sha256("\0".join(FLAGS + flags + [os.environ.get("CXX", "")]).encode())
    for path in sorted(SOURCE_DIR.glob("*.[ch]pp")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_current(isa: str) -> bool:
    """Tell whether the library of one instruction set exists and matches the sources."""
    stamp = library_path(isa).with_suffix(".hash")
    try:
        return library_path(isa).exists() and stamp.read_text() == fingerprint(variants()[isa])
    except OSError:
        return False


def build(verbose: bool = False) -> list[Path]:
    """Compile the kernels where they are out of date.

    Args:
        verbose: print what is compiled, and the compiler's commands.

    Returns:
        The libraries of all instruction sets of this kind of processor.

    Raises:
        BackendError: there is no C++ compiler, or it failed, or the folder cannot be written.
    """
    if not all(is_current(isa) for isa in variants()):
        try:
            library_dir().mkdir(parents=True, exist_ok=True)
            with open(library_dir() / ".lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building the same
                _compile([isa for isa in variants() if not is_current(isa)], verbose)
        except OSError as error:
            raise BackendError(
                f"cannot write the compiled kernels to {library_dir()}: {error}; "
                "set DRROBOT_NATIVE_DIR to a folder that can be written"
            ) from error
    return [library_path(isa) for isa in variants()]


def _compile(isas: list[str], verbose: bool) -> None:
    compiler = find_compiler()
    if compiler is None:
        wanted = os.environ.get("CXX", "g++")
        raise BackendError(f"no C++ compiler ({wanted}) found; install one: apt-get install g++")
    sources = sorted(SOURCE_DIR.glob("*.cpp"))
    # Compiled elsewhere and moved into place, so that nobody ever loads half a library.
    with tempfile.TemporaryDirectory(dir=library_dir(), prefix=".build") as folder:
        jobs = [(isa, src, Path(folder) / f"{isa}_{src.stem}.o") for isa in isas for src in sources]
        jobs.sort(key=lambda job: -job[1].stat().st_size)  # the long ones first

        def compile_one(job: tuple[str, Path, Path]) -> None:
            isa, source, output = job
            flags = [*FLAGS, *WARNINGS, *variants()[isa], f'-DDRR_ISA="{isa}"']
            _run([*compiler, *flags, "-c", str(source), "-o", str(output)], verbose)

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(compile_one, jobs))
        for isa in isas:
            objects = sorted(str(output) for name, _, output in jobs if name == isa)
            made = Path(folder) / library_path(isa).name
            _run([*compiler, "-shared", "-pthread", *objects, "-o", str(made)], verbose)
            stamp = library_path(isa).with_suffix(".hash")
            stamp.unlink(missing_ok=True)
            os.replace(made, library_path(isa))
            stamp.write_text(fingerprint(variants()[isa]))


def _run(command: list[str], verbose: bool) -> None:
    if verbose:
        print(shlex.join(command), flush=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BackendError(f"the C++ compiler failed: {shlex.join(command)}\n{result.stderr}")
    if verbose and result.stderr:
        print(result.stderr, file=sys.stderr)


def main() -> int:
    """Build from the command line; return the exit status."""
    try:
        for path in build(verbose="-v" in sys.argv[1:]):
            print(path)
    except BackendError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
