"""Identification: torque prediction on a motion it has not seen, from masses 30 % wrong.

A robot of the Menagerie follows an excitation trajectory of 10 s in simulation; recorded are its
positions and its torques with 1 % noise (of each joint's root mean square). Identification starts
from a model whose masses are 30 % too large or too small, link by link, and from one whose masses
are all 30 % too small. Compared are the root mean squares over a new trajectory, of the difference
from the true model's torques and of these: of all joints, and of the worst joint.
"""

import dataclasses
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark
from numpy.typing import NDArray

sys.path.insert(0, str(ROOT))

from drrobot_ros.identification import (
    ExcitationConfig,
    Recording,
    excitation_trajectory,
    identify,
)
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES

Array = NDArray[np.float64]

ROBOTS = {"Panda": "franka_emika_panda", "UR5e": "universal_robots_ur5e"}
NOISE, WRONG, FLOOR = 0.01, 0.3, 0.02
SEEDS = (0,) if QUICK else (0, 1, 2)


def menagerie() -> Path:
    named = os.environ.get("DRROBOT_MENAGERIE")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def with_masses(model: RobotModel, factor: Array) -> RobotModel:
    """Return the robot with other masses, centres of mass and inertias as they are."""
    tree = dataclasses.replace(model.tree, mass=model.tree.mass * factor)
    parts = dataclasses.replace(model._parts, tree=tree)
    return RobotModel(model.name, model.mj_model, parts, model.velocity_limit)


def torques(model: RobotModel, r: Recording) -> Array:
    with torch.no_grad():
        return model.inverse_dynamics(*(torch.from_numpy(x) for x in (r.q, r.v, r.a))).numpy()


def rms(x: Array) -> Array:
    return np.sqrt(np.mean(x**2, axis=0))


def torque_rows(bench: Benchmark) -> None:
    for name, folder in ROBOTS.items():
        path = menagerie() / folder / MAIN_FILES[folder]
        if not path.is_file():
            bench.add(f"{name}: skipped, there is no {path}", None, "")
            continue
        true = RobotModel.from_mjcf(path)
        drive, _ = excitation_trajectory(true, ExcitationConfig(tries=30))
        other, _ = excitation_trajectory(true, ExcitationConfig(tries=1, seed=1234))
        clean, wanted = torques(true, drive), torques(true, other)
        alternating = 1 + WRONG * np.where(np.arange(len(true.tree)) % 2, 1.0, -1.0)
        starts = {"+-30 %": alternating, "-30 %": np.full(len(true.tree), 1 - WRONG)}
        for kind, factor in starts.items():
            wrong = with_masses(true, factor)
            before = np.linalg.norm(torques(wrong, other) - wanted) / np.linalg.norm(wanted)
            totals, joints, seconds, verdicts = [], [], [], []
            for seed in SEEDS:
                random = np.random.default_rng(seed)
                tau = clean + NOISE * rms(clean) * random.normal(size=clean.shape)
                recording = Recording(drive.time_s, drive.q, None, None, tau, drive.joint_names)
                start = time.perf_counter()
                result = identify(wrong, recording)
                seconds.append(time.perf_counter() - start)
                verdicts.append(result.verdict)
                error = result.predict(other.q, other.v, other.a) - wanted
                totals.append(np.linalg.norm(error) / np.linalg.norm(wanted))
                joints.append((rms(error) / rms(wanted)).max())
            more = {"before": 100 * float(before), "verdicts": verdicts, "seeds": len(SEEDS)}
            floor = 100 * FLOOR
            where = f"{name}, masses {kind}"
            bench.add(f"{where}: torque error", 100 * float(max(totals)), "%", floor=floor, **more)
            bench.add(f"{where}: of the worst joint", 100 * float(max(joints)), "%", floor=floor)
            bench.add(f"{where}: time to identify", float(np.median(seconds)), "s")


def image_offset_rows(bench: Benchmark) -> None:
    """Add the rows of joint offsets found from images, where that benchmark is there."""
    if not (Path(__file__).resolve().parent / "image_offsets.py").is_file():
        return
    import image_offsets  # pyright: ignore[reportMissingImports]

    rows = getattr(image_offsets, "image_offset_rows", None)
    if rows is None:
        print("joint offsets from images: run benchmarks/image_offsets.py by itself")
    else:
        rows(bench)


def main() -> int:
    torch.set_num_threads(1)
    bench = Benchmark("identification", noise=NOISE, wrong=WRONG, seeds=SEEDS, seconds=10)
    torque_rows(bench)
    image_offset_rows(bench)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
