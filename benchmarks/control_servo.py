"""The loop closed by sight in simulation: MuJoCo draws, the tracker sees, the servo corrects.

An arm whose controller goes by encoders that are 5 degrees off is to go where a picture shows it.
The camera is known; the tracker has no encoders but for its start. Time is simulated: an image is
seen when it has been looked at, `LATENCY_S` after it was taken. Every motion that was commanded is
judged by MuJoCo's model of the arm. How quickly a cancel reaches an arm is measured over DDS.

A joint that the tracker, at the goal, cannot tell to better than `HIDDEN_DEG` (a round flange's
turn, its tools behind the arm) counts in the error of all joints, which is what the floor is on;
the row of joints that show leaves it out.
"""

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import QUICK
from numpy.typing import NDArray
from tqdm import tqdm

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.picture_difference import joints_between
from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
from drrobot_ros.control.servo import ServoConfig, VisualServo
from drrobot_ros.control.servo_goal import read_by_tracker
from drrobot_ros.control.timing import move_to
from drrobot_ros.demo.scenario import FAST_SCENE, Scenario, make_scenario
from drrobot_ros.errors import InputError
from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackerConfig
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.robot import SimulatedRobot
from drrobot_ros.splats import GaussianRobot

Vector = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]

OFFSET_RAD = np.deg2rad(5.0)
CAMERA_HZ, LATENCY_S, TICK_S, LEAD_S = 15.0, 0.08, 0.02, 0.03
LONGEST_S = 25.0
SIZE = (640, 480)
HIDDEN_DEG = 4.0


class _World:
    """An arm that goes by its encoders, a camera, the tracker and the servo."""

    def __init__(
        self,
        scenario: Scenario,
        gaussians: Any,
        robot: Any,
        goal: Vector,
        picture: Any,
        o: Vector,
        matched: bool = True,
    ):
        self._scenario, self._robot, self.offsets = scenario, robot, o
        self._gaussians, self._picture = gaussians, picture
        self.gate = SafetyGate(scenario.model)
        start = scenario.q_start
        self.motion = CommandedMotion(self.gate, start + o)
        self.servo = VisualServo(self.motion, goal, ServoConfig(), 0.0, matched)
        self._tracker = Tracker(
            scenario.model, gaussians, TrackerConfig(), {"": CameraMount(estimate=False)}
        )
        self._tracker.reset(q=start + o, T_base_camera={"": scenario.T_base_camera})
        self._waiting: deque[tuple[float, Any, Any]] = deque()
        self.now_s, self.told = 0.0, []
        self.shown = np.ones(len(o), bool)

    def true_q(self, time_s: float) -> Vector:
        return self.motion.at(time_s)[0] - self.offsets

    def _look(self) -> None:
        frame = self._robot.render(self.true_q(self.now_s), truth=False)
        seen = Observation(frame.rgb, self._scenario.camera, self.now_s, camera_name="")
        self._waiting.append((self.now_s, self._tracker.update([seen]), frame.rgb))

    def _match(self, stamp_s: float, rgb: Any, q: Vector, encoders: Vector) -> None:
        view = Viewpoint(self._scenario.camera, self._scenario.T_base_camera)
        model = self._scenario.model
        found = joints_between(model, self._gaussians, rgb, self._picture, view, q)
        if found is None:
            self.servo.unmatched()
        else:
            self.servo.match(stamp_s, found.q, found.sigma, encoders)

    def run(self) -> None:
        ticks_per_frame = round(1 / CAMERA_HZ / TICK_S)
        for k in range(round(LONGEST_S / TICK_S)):
            if self.servo.ended and self.motion.is_at_rest(self.now_s):
                return
            self.told.append(self.motion.at(self.now_s)[0])
            if k % ticks_per_frame == 0:
                self._look()
            while self._waiting and self._waiting[0][0] <= self.now_s - LATENCY_S:
                stamp_s, estimate, rgb = self._waiting.popleft()
                if estimate.state.name == "TRACKING":
                    encoders = self.motion.at(stamp_s)[0]
                    std = np.asarray(estimate.q_std)
                    self.shown = std <= np.deg2rad(HIDDEN_DEG)
                    self.servo.see(stamp_s, estimate.q, std, encoders)
                    if self.servo.wants_match and self.motion.is_at_rest(stamp_s):
                        self._match(stamp_s, rgb, estimate.q, encoders)
            motion = self.servo.step(self.now_s, self.now_s + LEAD_S)
            if motion is not None:
                self.motion.take(motion, self.now_s + LEAD_S)
            self.now_s += TICK_S


def _goal(gate: SafetyGate, scenario: Scenario, o: Vector, random: np.random.Generator) -> Vector:
    from drrobot_ros.rendering.viewpoint import share_in_view

    while True:
        goal = scenario.q_start + random.uniform(-0.5, 0.5, scenario.model.nq)
        _, inside = share_in_view(scenario.model, goal, scenario.camera, scenario.T_base_camera)
        try:
            gate.check(move_to(gate.limits, scenario.q_start, goal, 50.0))
            gate.check(move_to(gate.limits, scenario.q_start + o, goal + o, 50.0))
        except (UnsafeMotionError, InputError):
            continue
        if inside > 0.99:
            return goal


def rows(trials: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of the benchmark: keyword arguments of ``Benchmark.add``."""
    if trials is not None:
        return servo_rows(trials, seed)
    return servo_rows(1, seed) if QUICK else [*servo_rows(6, seed), *cancel_rows(12)]


def servo_rows(trials: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of the closed loop."""
    torch.set_num_threads(1)
    scenario = make_scenario("", *SIZE, ROOT / "benchmarks" / "out" / "control_servo")
    gaussians = GaussianRobot.from_model(scenario.model)
    gate = SafetyGate(scenario.model)
    random = np.random.default_rng(seed)
    given: dict[str, Any] = {k.removeprefix("scene."): v for k, v in FAST_SCENE.items()}
    closed, opened, seen, times, states, cpu = [], [], [], [], [], time.process_time()
    shares, shown, plain, hidden = [], [], [], 0
    camera, T = scenario.camera, scenario.T_base_camera
    with SimulatedRobot(scenario.model, camera, T, SceneConfig(**given)) as robot:
        for _ in tqdm(range(trials), desc="closed loop", disable=None):
            o = OFFSET_RAD * random.choice([-1.0, 1.0], scenario.model.nq)
            goal = _goal(gate, scenario, o, random)
            picture = robot.render(goal, truth=False).rgb
            wanted = read_by_tracker(scenario.model, gaussians, picture, camera, T, goal)
            unmatched = _World(scenario, gaussians, robot, wanted, picture, o, False)
            unmatched.run()
            q = unmatched.true_q(unmatched.now_s + 1.0)
            plain.append(float(np.rad2deg(np.abs(q - goal)).max()))
            world = _World(scenario, gaussians, robot, wanted, picture, o)
            world.run()
            q = world.true_q(world.now_s + 1.0)
            error = np.rad2deg(np.abs(q - goal))
            closed.append(float(error.max()))
            shown.append(float(error[world.shown].max()))
            hidden += int((~world.shown).sum())
            opened.append(float(np.rad2deg(np.abs(goal - o - goal)).max()))
            seen.append(float(np.rad2deg(world.servo.residual)))
            times.append(world.now_s)
            states.append(world.servo.state.value)
            told = np.array(world.told)
            for order, limit in enumerate(
                (gate.limits.velocity, gate.limits.acceleration, gate.limits.jerk), start=1
            ):
                rate = np.abs(np.diff(told, n=order, axis=0)) / TICK_S**order
                shares.append(float((rate / limit).max()))
    print(f"  ended: {', '.join(states)}; errors {np.round(closed, 2).tolist()} deg")
    return [
        {
            "name": "servo: final joint error by vision, worst of all",
            "value": round(max(seen), 3),
            "unit": "deg",
            "floor": 0.7,
            "trials": trials,
        },
        {
            "name": "servo: final joint error in truth, worst joint, median",
            "value": round(float(np.median(closed)), 3),
            "unit": "deg",
            "floor": 0.7,
            "worst": round(max(closed), 3),
            "each": [round(e, 2) for e in closed],
        },
        {
            "name": "servo: the same of the joints that show in the goal picture",
            "value": round(float(np.median(shown)), 3),
            "unit": "deg",
            "floor": 0.7,
            "worst": round(max(shown), 3),
            "each": [round(e, 2) for e in shown],
            "hidden_joints": hidden,
        },
        {
            "name": "servo: by estimates alone, without comparing pictures, worst joint, median",
            "value": round(float(np.median(plain)), 3),
            "unit": "deg",
            "worst": round(max(plain), 3),
            "each": [round(e, 2) for e in plain],
        },
        {
            "name": "servo: the same without looking (open loop)",
            "value": round(float(np.median(opened)), 3),
            "unit": "deg",
        },
        {
            "name": "servo: from start to reached, median",
            "value": round(float(np.median(times)), 2),
            "unit": "s simulated",
            "worst": round(max(times), 2),
        },
        {
            "name": "servo: largest share of a rate limit that was commanded",
            "value": round(max(shares), 3),
            "unit": "of the limit",
            "floor": 1.02,
        },
        {
            "name": "servo: the whole run",
            "value": round(time.process_time() - cpu, 1),
            "unit": "s CPU",
        },
    ]


def cancel_rows(cancels: int) -> list[dict[str, Any]]:
    """Return how long a cancel takes over DDS until the arm's controller has the deceleration."""
    sys.path.insert(0, str(ROOT / "test" / "ros"))
    import cancel_latency  # pyright: ignore[reportMissingImports]

    took_ms = 1e3 * np.array(cancel_latency.measure(cancels))
    return [
        {
            "name": "safety: from cancel to the arm, over DDS, median",
            "value": round(float(np.median(took_ms)), 1),
            "unit": "ms",
            "floor": 50.0,
            "worst": round(float(took_ms.max()), 1),
            "minimum": round(float(took_ms.min()), 1),
            "cancels": cancels,
        }
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["cancel"]:
        print(cancel_rows(int(sys.argv[2]) if len(sys.argv) > 2 else 20))
    else:
        for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
            print(row)
