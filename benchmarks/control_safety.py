"""Hostile goals and interruptions against what stands between a planner and an arm.

An arm among walls is asked, over and over, for what it must not do: positions beyond the limits,
into itself, through walls, numbers that are no numbers, motions that are too fast, that jump or
start elsewhere; and what it may do is interrupted at any moment: cancelled, replaced, cancelled
again while stopping. Its encoders are off, and the offsets that are known are not exact either.
What the arm did is then judged by MuJoCo's own model of it, sample by sample.
"""

import dataclasses
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.timing import follow_path
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation.referee import Block, Referee

Vector = NDArray[np.float64]

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "menagerie"
ROBOT = "universal_robots_ur5e"
HOME = np.array([0.0, -1.57, 1.2, -1.2, -1.57, 0.0])
BLOCKS = (
    Block("table", (1.2, 1.2, 0.05), (0.0, 0.0, -0.07)),
    Block("wall", (0.02, 1.0, 0.6), (-0.45, 0.0, 0.58)),
    Block("post", (0.04, 0.04, 0.5), (0.35, 0.45, 0.48)),
    Block("shelf", (0.25, 0.25, 0.02), (0.45, -0.45, 0.5)),
)
OFFSET_RAD, OFFSET_KNOWN_RAD = np.deg2rad(5.0), np.deg2rad(0.2)
STEP_S = 0.01  # of what the referee looks at


@dataclasses.dataclass
class Tally:
    """What became of the goals."""

    goals: int = 0
    accepted: int = 0
    interruptions: int = 0
    refused: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)
    samples: int = 0
    stop_s: list[float] = dataclasses.field(default_factory=list)
    plan_s: list[float] = dataclasses.field(default_factory=list)


class Arena:
    """An arm among walls, what it is told, and a judge.

    Args:
        seed: of everything that is drawn.
    """

    def __init__(self, seed: int) -> None:
        from drrobot_ros.robot.menagerie import find_robot

        if BESIDE.is_dir():
            os.environ.setdefault("DRROBOT_MENAGERIE", str(BESIDE))
        self.random = np.random.default_rng(seed)
        self.model = RobotModel.load(ROBOT)
        obstacles = []
        for block in BLOCKS:
            T = np.linalg.inv(np.asarray(self.model.T_world_base)) @ _shift(block.at)
            obstacles.append(Obstacle(block.name, "box", block.half, T))
        self.gate = SafetyGate(self.model, SafetyConfig(), obstacles)
        self.judge = Referee(find_robot(ROBOT), self.model.joint_names, BLOCKS)
        self.offsets = np.zeros(6)
        self.motion = CommandedMotion(self.gate, HOME)
        self.now_s = 0.0
        self.begin_again(HOME)

    def begin_again(self, q: Vector) -> None:
        """Have the arm stand still at true positions, with other errors of its encoders."""
        self.offsets = self.random.uniform(-OFFSET_RAD, OFFSET_RAD, 6)
        known = self.offsets + self.random.uniform(-OFFSET_KNOWN_RAD, OFFSET_KNOWN_RAD, 6)
        self.motion = CommandedMotion(self.gate, q + self.offsets, known)
        self.now_s = 0.0

    def free(self) -> Vector:
        """Return true positions that are safe."""
        limits = self.gate.limits
        while True:
            q = self.random.uniform(limits.lower, limits.upper) * self.random.uniform(0.2, 1.0)
            q = np.clip(q, limits.lower + OFFSET_RAD, limits.upper - OFFSET_RAD)
            if self.gate.checker.nearest(q).spare_m > 0:
                return q

    def ask(self, begin_s: float) -> Trajectory:
        """Return the motion of a hostile goal, if it is one that may be run."""
        random, limits = self.random, self.gate.limits
        here = self.motion.at(begin_s)[0] - self.motion.offsets
        kind = random.integers(8)
        if kind == 0:  # anywhere, half of them out of range
            return self.motion.to(random.uniform(1.3 * limits.lower, 1.3 * limits.upper), begin_s)
        if kind == 1:  # no numbers, or too few or too many
            goal = here.copy()
            goal[random.integers(6)] = random.choice([np.nan, np.inf, -np.inf, 1e300])
            return self.motion.to(goal[: random.integers(1, 7)], begin_s)
        if kind <= 4:  # near by: most of these are accepted
            goal = here + random.normal(0.0, 0.5, 6)
            return self.motion.to(np.clip(goal, limits.lower, limits.upper), begin_s)
        path = self._path(here)
        if kind == 5:  # as it is: through whatever is in the way
            return self.motion.along(path, begin_s)[0]
        return self.motion.along(self._spoilt(path), begin_s)[0]

    def _path(self, here: Vector) -> Trajectory:
        points = here + np.cumsum(self.random.normal(0.0, 0.4, (4, 6)), axis=0)
        times = np.cumsum(self.random.uniform(0.1, 1.0, 5))
        return follow_path(self.gate.limits, np.vstack([here, points]), times, 100.0)

    def _spoilt(self, path: Trajectory) -> Trajectory:
        random = self.random
        q, v, a, t = path.q.copy(), path.v.copy(), path.a.copy(), path.times_s.copy()
        row, joint = random.integers(1, len(q)), random.integers(6)
        kind = random.integers(6)
        if kind == 0:
            t = t * random.uniform(0.2, 0.9)  # too fast
        elif kind == 1:
            q[row:, joint] += random.choice([-1, 1]) * random.uniform(0.005, 0.5)  # a jump
        elif kind == 2:
            random.choice([q, v, a])[row, joint] = np.nan
        elif kind == 3:
            q += random.uniform(0.03, 0.5)  # starts elsewhere
        elif kind == 4:
            return Trajectory(t[:row], q[:row], v[:row], a[:row])  # ends in motion
        else:
            t[row] = t[row - 1]  # time stands still
        return Trajectory(t, q, v, a)


def _shift(at: Any) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:3, 3] = at
    return T


def _try(arena: Arena, tally: Tally, begin_s: float) -> bool:
    """Ask for one hostile thing; return whether the arm was told to do it."""
    tally.goals += 1
    clock = time.process_time()
    try:
        motion = arena.ask(begin_s)
    except InputError as error:
        tally.refused[getattr(error, "kind", "input")] += 1
        return False
    finally:
        tally.plan_s.append(time.process_time() - clock)
    arena.motion.take(motion, begin_s)
    tally.accepted += 1
    return True


def _stop(arena: Arena, tally: Tally, begin_s: float) -> None:
    clock = time.process_time()
    arena.motion.take(arena.motion.stop(begin_s), begin_s)
    tally.stop_s.append(time.process_time() - clock)
    tally.interruptions += 1


def episode(arena: Arena, tally: Tally) -> None:
    """Have the arm do, or not do, a few hostile things in a row, and judge what it did."""
    random, motion = arena.random, arena.motion
    said: list[Vector] = []

    def run(seconds: float) -> None:
        for _ in range(max(1, round(seconds / STEP_S))):
            said.append(motion.at(arena.now_s)[0])
            arena.now_s += STEP_S

    run(STEP_S)
    for _ in range(8):
        lead_s = float(random.choice([0.0, 0.03, 0.05]))
        begun = _try(arena, tally, arena.now_s + lead_s)
        left_s = max(motion.end_s - arena.now_s, 0.0)
        if begun and random.random() < 0.6 and left_s > 0.05:
            run(random.uniform(0.02, left_s))
            what = random.integers(3)
            if what == 0:
                _try(arena, tally, arena.now_s + lead_s)  # another goal while it moves
            else:
                _stop(arena, tally, arena.now_s + lead_s)
                if what == 2:  # cancelled while it stops, and asked for something else
                    run(random.uniform(0.0, 0.3))
                    _stop(arena, tally, arena.now_s + lead_s)
                    _try(arena, tally, arena.now_s + lead_s)
        if random.random() < 0.7:
            run(max(motion.end_s - arena.now_s, 0.0) + 2 * STEP_S)
        if random.random() < 0.3:  # what is known of the encoders changes meanwhile
            known = arena.offsets + random.uniform(-OFFSET_KNOWN_RAD, OFFSET_KNOWN_RAD, 6)
            motion.offsets = known
    run(max(motion.end_s - arena.now_s, 0.0) + 4 * STEP_S)
    q, limits = np.array(said), arena.gate.limits
    verdict = arena.judge.judge(
        q,
        STEP_S,
        velocity=limits.velocity,
        acceleration=limits.acceleration,
        jerk=limits.jerk,
        true_q=q - arena.offsets,
    )
    tally.samples += len(q)
    tally.faults += verdict.faults()
    if np.abs(q[-1] - q[-3]).max() > 1e-9:
        tally.faults.append("did not come to rest")


def rows(goals: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of the benchmark: keyword arguments of ``Benchmark.add``."""
    arena, tally = Arena(seed), Tally()
    wall, cpu = time.perf_counter(), time.process_time()
    with tqdm(total=goals, desc="hostile goals", disable=None) as bar:
        while tally.goals + tally.interruptions < goals:
            before = tally.goals + tally.interruptions
            arena.begin_again(arena.free())
            episode(arena, tally)
            bar.update(tally.goals + tally.interruptions - before)
    total = tally.goals + tally.interruptions
    for fault, times in Counter(tally.faults).most_common(20):
        print(f"  fault: {fault} ({times}x)")
    reasons = ", ".join(f"{kind} {n}" for kind, n in tally.refused.most_common())
    return [
        {
            "name": "safety: hostile goals and interruptions",
            "value": total,
            "unit": "of them",
            "floor": goals,
            "better": "higher",
            "accepted": tally.accepted,
            "interruptions": tally.interruptions,
            "refused": dict(tally.refused),
            "note": f"refused: {reasons}",
        },
        {
            "name": "safety: ended with a limit violated or a collision",
            "value": len(tally.faults),
            "unit": "of them",
            "floor": 0,
            "samples": tally.samples,
        },
        {
            "name": "safety: a motion planned and checked, or refused",
            "value": round(1e3 * float(np.median(tally.plan_s)), 2),
            "unit": "ms CPU",
            "p99": round(1e3 * float(np.quantile(tally.plan_s, 0.99)), 2),
        },
        {
            "name": "safety: a stop planned and checked, 99 %",
            "value": round(1e3 * float(np.quantile(tally.stop_s, 0.99)), 2),
            "unit": "ms CPU",
            "median": round(1e3 * float(np.median(tally.stop_s)), 2),
            "maximum": round(1e3 * max(tally.stop_s), 2),
        },
        {
            "name": "safety: the whole run",
            "value": round(time.process_time() - cpu, 1),
            "unit": "s CPU",
            "wall_s": round(time.perf_counter() - wall, 1),
        },
    ]


if __name__ == "__main__":
    import sys

    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000):
        print(row)
