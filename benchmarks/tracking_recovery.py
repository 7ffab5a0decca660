"""Lost and found: does a tracker that lost its robot find it again, and how soon?

Three ways to get lost, each with and without depth: the arm is elsewhere from one image to the next
(every joint 60 degrees off), it is covered meanwhile, or the tracker starts that wrong. Images come
at 10 Hz and the arm moves on slowly,
up to some ten degrees a second. Processor time of the search beside tracking counts as time in
which images are missed, so results do not depend on how busy the machine is.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable

import numpy as np
from tracking_scenes import AIM, CAMERA, EYE

from drrobot_ros.estimation import Observation, Tracker, TrackerConfig, TrackingState
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot, SinusoidMotion
from drrobot_ros.splats import GaussianRobot

KINDS = ("arm elsewhere", "covered meanwhile", "wrong start")
RATE_HZ = 10.0
LOST_AT_S, COVERED_S = 1.5, 2.0
END_S = 25.0
OFF_RAD = np.radians(60.0)
WRONG_DEG = 5.0
HELD = 5  # images that a robot found again has to be right for


@dataclasses.dataclass(frozen=True)
class Recovered:
    """How one case went.

    Attributes:
        seconds: from the loss (or the end of the cover) until it is tracked again, None: never.
        false_images: share of images after the loss that were believed and wrong.
        searches: how many searches ran.
    """

    seconds: float | None
    false_images: float
    searches: int


def recover(
    model: RobotModel,
    gaussians: GaussianRobot,
    center: np.ndarray,
    kind: str,
    depth: bool,
    seed: int,
    config: TrackerConfig,
) -> Recovered:
    """Follow one case to its end."""
    rng = np.random.default_rng(seed)
    T = look_at(EYE, AIM)
    scene = SceneConfig(seed=seed, shadow_map_px=512, coarseness_m=0.003, samples=2)
    robot = SimulatedRobot(model, CAMERA, T, scene)
    motion = SinusoidMotion(model, amplitude=0.2, period_s=15.0, seed=seed, center=center)
    there = _off(model, center, rng)
    missed = [0.0]

    def search(work: Callable[[], None]) -> None:
        began = time.process_time()
        work()
        missed.append(time.process_time() - began)

    tracker = Tracker(model, gaussians, config, run_search=search)
    tracker.reset(motion(0.0) + (there if kind == KINDS[2] else 0.0), T)
    lost_s = 0.0 if kind == KINDS[2] else LOST_AT_S
    right, false, believed, found_s = 0, 0, 0, None
    now = 0.0
    while now < END_S and right < HELD:
        q = motion(now) + (there if kind != KINDS[2] and now >= lost_s else 0.0)
        q = np.clip(q, model.lower, model.upper)
        frame = robot.render(q)
        covered = kind == KINDS[1] and lost_s <= now < lost_s + COVERED_S
        image = np.full_like(frame.rgb, 70) if covered else frame.rgb
        plane = frame.depth_m if depth and not covered else None
        estimate = tracker.update(Observation(image, CAMERA, now, depth_m=plane))
        # An image does not show whole turns.
        off = (estimate.q - q + np.pi) % (2 * np.pi) - np.pi
        worst = np.degrees(np.abs(off)[:6].max())
        tracked = estimate.state is TrackingState.TRACKING
        if now >= lost_s:
            believed += 1
            false += tracked and worst > WRONG_DEG
            right = right + 1 if tracked and worst < WRONG_DEG else 0
            found_s = now if right == 1 else found_s
        now += 1 / RATE_HZ + sum(missed)
        searches = len(missed)
        missed[:] = [0.0] * searches
    robot.close()
    end_of_cover = lost_s + (COVERED_S if kind == KINDS[1] else 0.0)
    seconds = None
    if right >= HELD and found_s is not None:
        seconds = max(found_s - end_of_cover, 0.0)
    return Recovered(seconds, false / max(believed, 1), searches - 1)


def cases(robots: list[str], seeds: int) -> list[tuple[str, str, bool, int]]:
    """Return robot, kind, with depth, seed of each case."""
    return list(itertools.product(robots, KINDS, (True, False), range(seeds)))


def _off(model: RobotModel, center: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 60 degrees in every joint, to a side where its limits leave room; fingers stay."""
    sign = rng.choice([-1.0, 1.0], len(center))
    for side in (sign, -sign):
        outside = (center + side * OFF_RAD > model.upper - 0.3) | (
            center + side * OFF_RAD < model.lower + 0.3
        )
        sign = np.where(outside, -sign, sign)
    turn = np.where(model.upper - model.lower > 1.0, OFF_RAD, 0.0)
    return np.clip(center + sign * turn, model.lower + 0.3 * (turn > 0), model.upper) - center
