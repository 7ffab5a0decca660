"""Run roboreg's Hydra on the photos, in its own environment, and bring back poses and times."""

import dataclasses
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .prepare import prepare

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venv-roboreg"
HOW = "make roboreg builds its environment"


class MissingError(Exception):
    """Roboreg is not installed; the message says how to get it."""


@dataclasses.dataclass(frozen=True)
class HydraResult:
    """What Hydra found, once per draw of points on the meshes.

    Attributes:
        poses: [n,4,4] T_base_camera, optical axes.
        wall_s: [n] of the solver alone.
        cpu_s: [n] of the solver alone.
        iterations: [n] outer iterations.
        process_s: wall time of its own command `rr-hydra`, from start to end.
        process_cpu_s: CPU time of the same.
        import_s: of that, importing torch and roboreg (in the runner).
        threads: that torch used.
        version: of roboreg.
    """

    poses: NDArray[np.float64]
    wall_s: NDArray[np.float64]
    cpu_s: NDArray[np.float64]
    iterations: NDArray[np.int64]
    process_s: float
    process_cpu_s: float
    import_s: float
    threads: int
    version: str

    @property
    def spread_mm(self) -> float:
        """Largest distance between two of the camera positions, mm."""
        at = self.poses[:, :3, 3]
        return float(1e3 * np.linalg.norm(at[:, None] - at[None], axis=-1).max())

    @property
    def spread_deg(self) -> float:
        """Largest angle between two of the camera rotations, degrees."""
        R = self.poses[:, :3, :3]
        trace = np.einsum("aij,bij->ab", R, R)
        return float(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))).max())


def run_hydra(model: Any, photos: Path, seeds: Sequence[int] = (0, 1, 2)) -> HydraResult:
    """Run `rr-hydra` once as a process, and its solver once per seed.

    Args:
        model: the robot, base frame where the pose is wanted.
        photos: folder of the photos with masks, depth and readings.
        seeds: draws of points on the meshes.

    Raises:
        MissingError: the environment is not there.
        subprocess.CalledProcessError: it failed; its output is in the exception.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "complete").is_file() or not python.is_file():
        raise MissingError(f"roboreg is not installed; {HOW}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(model, photos, folder)
        ends = json.loads((folder / "links.json").read_text())
        before, start = os.times(), time.perf_counter()
        _run(
            ENVIRONMENT / "bin" / "rr-hydra",
            *("--intrinsics-file", folder / "camera_info.yaml", "--path", folder),
            *("--mask-pattern", "mask_*.png", "--urdf-path", folder / "robot.urdf"),
            *("--root-link-name", ends["root"], "--end-link-name", ends["end"]),
        )
        process_s, after = time.perf_counter() - start, os.times()
        cpu_s = after.children_user + after.children_system
        cpu_s -= before.children_user + before.children_system
        found = folder / "found.json"
        _run(python, HERE / "run_hydra.py", folder, found, *seeds)
        values = json.loads(found.read_text())
    runs = values["runs"]
    return HydraResult(
        np.array([r["T_base_camera"] for r in runs]),
        np.array([r["wall_s"] for r in runs]),
        np.array([r["cpu_s"] for r in runs]),
        np.array([r["iterations"] for r in runs]),
        process_s,
        cpu_s,
        values["import_s"],
        values["threads"],
        values["version"],
    )


def _run(*words: Any) -> None:
    subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True)
