"""The one error of the set-up, and commands that fail with one clear line."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """The set-up cannot go on; the message is one line that says what to do."""


def run_logged(
    command: Sequence[str | os.PathLike[str]],
    log: Path,
    advice: str,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in a file.

    Args:
        command: program and arguments.
        log: file that receives stdout and stderr; overwritten.
        advice: what to do when the command fails, appended to the error's line.
        env: the environment, None for this process's own.

    Raises:
        SetupError: the command failed or does not exist; names the cause, the advice and the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [os.fspath(word) for word in command]
    with open(log, "w") as output:
        output.write(" ".join(words) + "\n")
        output.flush()
        try:
            done = subprocess.run(
                words, stdout=output, stderr=subprocess.STDOUT, env=env, check=False
            )
        except OSError as error:
            raise SetupError(f"{error.strerror}: {words[0]}; {advice}") from error
    if done.returncode != 0:
        raise SetupError(f"{_cause(log)}; {advice} (full output: {os.path.relpath(log)})")


# What to look for in a log, most telling first, and what to call it (None: quote the line).
MARKS = (
    ("No space left on device", "the disk is full"),
    ("Retry(total=0", "a download failed, the package index cannot be reached"),
    ("Read timed out", "a download failed, the package index does not answer"),
    ("ERROR: Could not find", None),
    ("ERROR: No matching", None),
    ("ERROR: Cannot install", None),
    ("fatal error:", None),
    ("CMake Error", None),
    ("E: ", None),
)


def _cause(log: Path) -> str:
    """Return one line that most likely says what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for mark, meaning in MARKS:
        for line in lines:
            if mark in line:
                return meaning or line[:300]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines)[-1][:300]
