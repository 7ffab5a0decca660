"""Load the compiled kernels through ctypes."""

import ctypes
import functools
import os
from pathlib import Path

from drrobot_ros.errors import BackendError, unknown_name
from drrobot_ros.native import build


def available_isas() -> list[str]:
    """Return the instruction sets this processor can run, best last; builds what is not built."""
    _ensure_built()
    names = list(build.variants())
    baseline = _open("baseline")
    baseline.drr_best_isa.restype = ctypes.c_char_p
    best = baseline.drr_best_isa().decode()
    return names[: names.index(best) + 1] if best in names else names[:1]


def library() -> ctypes.CDLL:
    """Return the kernels compiled for the best instruction set this processor can run.

    The environment variable ``DRROBOT_NATIVE_ISA`` (baseline, avx2 or avx512) forces another.
    Out-of-date libraries are compiled first if there is a compiler.

    Raises:
        BackendError: the kernels are not built and cannot be built here.
        InputError: ``DRROBOT_NATIVE_ISA`` is not an instruction set this processor can run.
    """
    return load(os.environ.get("DRROBOT_NATIVE_ISA") or None)


@functools.cache
def load(isa: str | None = None) -> ctypes.CDLL:
    """Return the kernels of one instruction set, None being the best one.

    Raises:
        BackendError: the kernels are not built and cannot be built here.
        InputError: this processor cannot run that instruction set.
    """
    names = available_isas()
    if isa is None:
        isa = names[-1]
    elif isa not in names:
        raise unknown_name("instruction set", isa, names)
    return _open(isa)


def set_num_threads(count: int, isa: str | None = None) -> None:
    """Set how many threads the kernels use; 0 means one per available core, at most 8."""
    (library() if isa is None else load(isa)).drr_set_num_threads(ctypes.c_int(count))


def num_threads() -> int:
    """Return how many threads the kernels use."""
    return library().drr_num_threads()


def _ensure_built() -> None:
    if all(build.is_current(isa) for isa in build.variants()):
        return
    if build.find_compiler() is None and all(
        build.library_path(isa).exists() for isa in build.variants()
    ):
        return  # installed ready-made; there is nothing to mend them with
    try:
        build.build()
    except BackendError as error:
        raise BackendError(
            f"the C++ kernels are not built; run: python -m drrobot_ros.native.build\n{error}"
        ) from error


@functools.cache
def _open(isa: str) -> ctypes.CDLL:
    path: Path = build.library_path(isa)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise BackendError(
            f"cannot load {path}: {error}; run: python -m drrobot_ros.native.build"
        ) from error
