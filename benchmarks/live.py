"""The node over DDS, beside the simulator it watches: ``make bench NAME=live``.

A simulated arm and camera, the pose estimator and a recorder run as processes and share the
machine. No training, no encoders, no mask; the camera pose is known. The floors are for the UR5e
(airo-models); the Panda is measured too where the MuJoCo Menagerie is at hand (DRROBOT_MENAGERIE),
and has to reach them where there is no UR5e.
"""

import dataclasses
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark

from drrobot_ros.demo import analysis, plan
from drrobot_ros.demo.arm import models_folder
from drrobot_ros.demo.config import DemoConfig
from drrobot_ros.demo.recording import Recording
from drrobot_ros.demo.scenario import Scenario, make_scenario, make_session
from drrobot_ros.demo.session import Session, run_session
from drrobot_ros.errors import DrRobotError
from drrobot_ros.robot.menagerie import find_robot
from drrobot_ros.splats import GaussianRobot

CONFIG = DemoConfig(shadows=False)  # a camera costs no processor time in reality
PANDA = "franka_emika_panda"
JOINTS = range(6)
MOTION_S = 10.0
RESTARTS = 3 if QUICK else 9
FAST_HZ = 60.0
#: The hardest row for a machine: the camera at 60 Hz too is drawn on its processor.
FAST_SCENE = {"scene.background": "plain", "scene.coarseness_m": 0.006}


def robots() -> list[tuple[str, str]]:
    """Return name and source of the robots at hand, the judged one first; QUICK: it alone."""
    found = []
    beside = ROOT.parent / "shared" / "data" / "menagerie"
    if beside.is_dir():
        os.environ.setdefault("DRROBOT_MENAGERIE", str(beside))
    try:
        find_robot(PANDA)
        found.append(("Panda", PANDA))
    except DrRobotError:
        print(f"without the Panda: no {PANDA} (set DRROBOT_MENAGERIE)")
    if models_folder() is not None:
        found.insert(0, ("UR5e", ""))
    return found[:1] if QUICK else found


def live_session(scenario: Scenario, splats: Path) -> Session:
    """Return the session of convergence and motion."""
    session = make_session(CONFIG, scenario, splats)
    starts = [scenario.wrong_start(CONFIG.offset_deg, seed) for seed in range(1, RESTARTS + 1)]
    steps = [
        plan.wait_for_estimate(),
        plan.record(1.0, "rest"),
        *(plan.restart(q, seconds=2.5) for q in starts),
        scenario.swing(MOTION_S),
    ]
    return dataclasses.replace(session, plan=steps, images=False)


def fast_session(scenario: Scenario, splats: Path) -> Session:
    """Return the session with a camera that is faster than the solver."""
    session = make_session(CONFIG, scenario, splats)
    robot = {**session.robot, "rate_hz": FAST_HZ, **FAST_SCENE}
    steps = [plan.wait_for_estimate(), plan.record(1.0), scenario.swing(MOTION_S / 2)]
    return dataclasses.replace(session, robot=robot, plan=steps, images=False)


class Rows:
    """The rows of one robot; only those of a judged one have floors."""

    def __init__(self, bench: Benchmark, robot: str, judged: bool) -> None:
        self.bench, self.robot, self.judged = bench, robot, judged

    def add(
        self,
        name: str,
        value: float | None,
        unit: str,
        floor: float | None = None,
        better: str = "lower",
        **more: object,
    ) -> None:
        """Add a row."""
        more["shown"] = floor is not None
        floor = floor if self.judged else None
        self.bench.add(f"{self.robot}{name}", value, unit, floor=floor, better=better, **more)


def add_convergence(rows: Rows, recording: Recording) -> None:
    """Add the time to converge, of all starts."""
    restarts = recording.times("restart")
    ends = [*restarts[1:], recording.spans("motion")[0][0]]
    columns = range(len(recording.joint_names))
    # Until the next restart is asked for, the estimates belong to this one.
    times = [
        analysis.convergence_s(recording, start, columns[:6], end - 0.2)
        for start, end in zip(restarts, ends, strict=True)
    ]
    first = float(recording.estimate_stamp[0])
    cold = analysis.convergence_s(recording, first, columns[:6], restarts[0])
    print(f"  {rows.robot}: cold start {cold}, restarts {[t and round(t, 3) for t in times]}")
    median = statistics.median(float("inf") if t is None else t for t in times)
    rows.add(
        ": converges from 10 degrees off in every joint",
        None if np.isinf(median) else round(median, 3),
        "s",
        floor=1.0,
        starts=[None if t is None else round(t, 3) for t in times],
        cold_start=None if cold is None else round(cold, 3),
    )


def add_motion(rows: Rows, recording: Recording) -> None:
    """Add accuracy, rate and latency while the arm moved."""
    t = analysis.tracking(recording, recording.spans("motion")[0])
    errors = {j: t.joint_error_deg[recording.joint_names[j]] for j in JOINTS}
    worst = max(errors.values(), key=lambda s: s.median)
    rows.add(
        ": joints 1-6, the largest median error in 10 s of motion",
        round(worst.median, 3),
        "deg",
        floor=1.5,
        medians=[round(s.median, 3) for s in errors.values()],
        p90=[round(s.p90, 3) for s in errors.values()],
    )
    rows.add(
        ": estimates, camera at 30 Hz",
        round(t.rate_hz, 2),
        "Hz",
        floor=15.0,
        better="higher",
    )
    rows.add(": images of the camera", round(t.camera_rate_hz, 2), "Hz", better="higher")
    rows.add(
        ": latency, image stamp to estimate received",
        round(1e3 * t.latency_s.median, 1),
        "ms",
        p90=round(1e3 * t.latency_s.p90, 1),
    )
    rows.add(": solver", round(1e3 * t.solve_time_s.median, 1), "ms")


def add_fast(rows: Rows, recording: Recording) -> None:
    """Add how the node copes with a camera that is faster than it."""
    span = recording.spans("motion")[0]
    t = analysis.tracking(recording, span)
    inside = (recording.estimate_stamp >= span[0]) & (recording.estimate_stamp < span[1])
    period_s = float(np.median(np.diff(recording.estimate_received[inside])))
    rows.add(
        ", camera at 60 Hz: latency / solver period",
        round(t.latency_s.median / period_s, 3),
        "x",
        floor=2.0,
        p90=round(t.latency_s.p90 / period_s, 3),
        latency_ms=round(1e3 * t.latency_s.median, 1),
        period_ms=round(1e3 * period_s, 1),
    )
    rows.add(
        ", camera at 60 Hz: images of the camera",
        round(t.camera_rate_hz, 2),
        "Hz",
        better="higher",
    )
    share = t.dropped / max(1, t.received)
    rows.add(", camera at 60 Hz: images dropped", round(share, 3), "of 1")


def main() -> int:
    """Measure; return the exit status."""
    torch.set_num_threads(1)
    bench = Benchmark(
        "live", width=CONFIG.width, height=CONFIG.height, restarts=RESTARTS, motion_s=MOTION_S
    )
    for index, (name, source) in enumerate(robots()):
        rows = Rows(bench, name, judged=index == 0)
        with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
            work = Path(folder)
            scenario = make_scenario(source, CONFIG.width, CONFIG.height, work)
            splats = work / "splats.npz"
            GaussianRobot.from_model(scenario.model).save(splats)
            recording = run_session(live_session(scenario, splats), work / "live")
            add_convergence(rows, recording)
            add_motion(rows, recording)
            add_fast(rows, run_session(fast_session(scenario, splats), work / "fast"))
    if not bench.rows:
        bench.add("robots at hand", None, "", floor=1.0, better="higher")
    return bench.finish()


def _scratch() -> Path:
    folder = ROOT / "benchmarks" / "out"
    folder.mkdir(exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
