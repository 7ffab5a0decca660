"""Build what is missing of this project's environment: ``python3 tools/environment``.

Runs on the standard library of a bare Python. Each step leaves a stamp in ``.venv``; a step whose
inputs have not changed is skipped, so a second run takes a fraction of a second.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from problems import SetupError
from stamps import Stamps
from steps import ROOT, VENV, Step, all_steps


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other set-up of this checkout is running."""
    with open(Path(__file__)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_step(step: Step, stamps: Stamps) -> None:
    """Run one step where its inputs changed, and say how long it took."""
    fingerprint = step.fingerprint()
    if stamps.is_current(step.name, fingerprint):
        return
    print(f"set-up: {step.title} ...", flush=True)
    start = time.monotonic()
    stamps.forget(step.name)
    step.run()
    stamps.write(step.name, fingerprint)
    print(f"set-up: {step.title}: done in {time.monotonic() - start:.0f} s", flush=True)


def main() -> int:
    """Run all steps; return the exit status."""
    os.chdir(ROOT)
    try:
        with one_at_a_time():
            stamps = Stamps(VENV / "stamps")
            for step in all_steps():
                run_step(step, stamps)
    except SetupError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"set-up failed: cannot write under {ROOT.name}/: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
