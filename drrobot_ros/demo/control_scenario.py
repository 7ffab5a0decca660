"""Control by sight as a demonstration: an arm with wrong encoders, a goal picture, the steps."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
from drrobot_ros.control.timing import move_to
from drrobot_ros.demo import plan
from drrobot_ros.demo.control_config import ControlDemoConfig
from drrobot_ros.demo.motion import Waypoints
from drrobot_ros.demo.scenario import FAST_SCENE, FOV_DEG, Scenario, joint_units
from drrobot_ros.demo.session import Session
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.media import write_image
from drrobot_ros.rendering.viewpoint import share_in_view

Array = NDArray[np.float64]

#: The stages, in order: what each is called, and what it shows.
STAGES = {
    "encoders": "by its encoders alone",
    "control": "visual_control: planned from the picture, encoders corrected once",
    "servo": "visual_servo: corrected until it is seen there",
}
_TRIES = 200
_IN_VIEW = 0.99  # of the robot
_ACCELERATION = 1.0  # rad/s^2
_PATIENCE_S = 240.0  # four nodes load the robot, at once


@dataclasses.dataclass(frozen=True)
class ControlScenario:
    """An arm, where it is to go, and how wrong its encoders are.

    Attributes:
        base: robot, camera and start.
        goal: true positions wanted [nq].
        offsets: encoder minus true position [nq].
        picture: file of what the camera sees at the goal.
    """

    base: Scenario
    goal: Array
    offsets: Array
    picture: Path


def make_control_scenario(
    config: ControlDemoConfig, base: Scenario, folder: Path
) -> ControlScenario:
    """Return a scenario whose straight motions are safe, and write its goal picture.

    Raises:
        InputError: no goal that far away can be gone to.
        BackendError: there is no off-screen OpenGL.
    """
    random = np.random.default_rng(config.seed)
    gate = SafetyGate(base.model)
    units = joint_units(base.model)
    offsets = np.deg2rad(config.offset_deg) * units * random.choice([-1.0, 1.0], len(units))
    for _ in range(_TRIES):
        away = np.deg2rad(config.turn_deg) * units * random.choice([-1.0, 1.0], len(units))
        goal = base.q_start + away
        _, inside = share_in_view(base.model, goal, base.camera, base.T_base_camera)
        if inside > _IN_VIEW and _is_safe(gate, base.q_start, goal, offsets):
            break
    else:
        raise InputError(
            f"no safe goal in view {config.turn_deg:g} degrees from the start; take fewer"
        )
    picture = folder / "goal.png"
    write_image(picture, _photo(base, goal))
    return ControlScenario(base, goal, offsets, picture)


def _is_safe(gate: SafetyGate, start: Array, goal: Array, offsets: Array) -> bool:
    try:
        for a, b in ((start, goal), (start, goal - offsets), (start + offsets, goal + offsets)):
            gate.check(move_to(gate.limits, a, b, 50.0))
    except (UnsafeMotionError, InputError):
        return False
    return True


def _photo(base: Scenario, q: Array) -> NDArray[np.uint8]:
    """Return what the camera sees of the robot at q."""
    from drrobot_ros.simulation.config import SceneConfig
    from drrobot_ros.simulation.robot import SimulatedRobot

    given: dict[str, Any] = {k.removeprefix("scene."): v for k, v in FAST_SCENE.items()}
    scene = SceneConfig(**given)
    with SimulatedRobot(base.model, base.camera, base.T_base_camera, scene) as robot:
        return robot.render(q, truth=False).rgb


def make_control_session(
    config: ControlDemoConfig, scenario: ControlScenario, splats: Path
) -> Session:
    """Return the session: to the goal by the encoders, back, and twice by the picture."""
    base = scenario.base
    pose = numbers_from_pose(base.T_base_camera)
    robot = {
        "robot": base.source,
        "motion": "hold",
        "start_positions": base.q_start,
        "camera_pose": pose,
        "vertical_fov_deg": FOV_DEG,
        "width": config.width,
        "height": config.height,
        "rate_hz": config.rate_hz,
        "joint_rate_hz": 60.0,
        "encoders.offsets": scenario.offsets,
        **FAST_SCENE,
    }
    estimator = {
        "robot": base.source,
        "splats": str(splats),
        "subscribe_joint_states": True,
        "tracker.encoder_sigma_rad": 0.0,  # for the start only: they are wrong
        "initial_camera_pose": pose,
        "publish_tf": False,
    }
    # Slow and patient: simulator, estimator and two planners share the machine.
    patient = {
        "safety.max_velocity": config.speed,
        "safety.max_acceleration": _ACCELERATION,
        "seen_patience_s": 4.0,
        "following.silence_s": 1.0,
        "execution.lead_s": 0.06,
    }
    common = {"robot": base.source, "splats": str(splats), "camera_pose": pose, **patient}
    others = {
        "visual_control": {**common, "estimate": "yes"},
        "visual_servo": {**common, "servo.stale_s": 4.0},
    }
    safety = SafetyConfig(max_velocity=config.speed, max_acceleration=_ACCELERATION)
    gate = SafetyGate(base.model, safety)
    by_encoders = move_to(gate.limits, base.q_start + scenario.offsets, scenario.goal, 50.0)
    back = move_to(gate.limits, scenario.goal, base.q_start + scenario.offsets, 50.0)
    picture = str(scenario.picture)
    steps = [
        plan.wait_for_estimate(_PATIENCE_S),
        plan.wait_for_node("visual_control/optimize_joint_target", _PATIENCE_S),
        plan.wait_for_node("visual_servo/visual_servo", _PATIENCE_S),
        plan.record(1.0, "rest"),
        plan.move(_waypoints(by_encoders), "encoders"),
        plan.record(1.0),
        plan.wait_for_tracking(),
        plan.move(_waypoints(back), "back"),
        plan.record(1.0),
        plan.wait_for_tracking(),
        plan.optimize(picture, "control"),
        plan.record(1.0),
        plan.wait_for_tracking(),
        plan.servo(picture, "servo"),
        plan.record(1.0),
    ]
    return Session(robot, estimator, steps, images=True, others=others)


def _waypoints(motion: Any) -> Waypoints:
    return Waypoints(motion.times_s, motion.q, motion.v)
