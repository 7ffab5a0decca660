"""From a recording to what a calibration is given: robot, start of the camera, keyframes."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.commands.camera_start import SEARCH_SIGMA, CameraStart
from drrobot_ros.commands.flags import from_flags
from drrobot_ros.commands.identify import held_from
from drrobot_ros.commands.robots import DEMO_ARM, RobotFlags, load_model
from drrobot_ros.errors import InputError
from drrobot_ros.estimation.calibration.files import FrameNames
from drrobot_ros.estimation.calibration.gauge import camera_like_joint
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.recordings import Recording, open_recording
from drrobot_ros.recordings.static_transforms import body_frame, find_transform
from drrobot_ros.recordings.topics import TopicFlags

STILL = 0.02  # rad or m: a robot that moves less does not move
SLOW = 0.1  # rad/s or m/s: faster images of a bag are left out where there are enough others
SEARCH_IMAGES = 3


def open_with_robot(
    options: argparse.Namespace, flags: Any, robot: RobotFlags
) -> tuple[Recording, Any, Any]:
    """Return the recording, the robot's model, and the source of its description.

    Raises:
        InputError: neither flags nor recording say which robot it is, or joints do not fit.
    """
    model = load_model(robot) if robot.robot else None
    recording = open_recording(
        options.recording,
        topics=from_flags(TopicFlags, options),
        camera_info=flags.camera_info,
        joints_file=flags.joints_file,
        joint_names=model.joint_names if model is not None else (),
        rectified=options.rectified,
    )
    source: Any = robot.robot
    if model is None:
        if not recording.description:
            raise InputError(
                f"which robot? There is no robot_description in {recording.source}; give its "
                "URDF or MJCF, or its Menagerie name: --robot"
            )
        source = recording.description
        model = load_model(dataclasses.replace(robot, robot=source))
    elif robot.robot == DEMO_ARM:
        from drrobot_ros.demo.arm import arm_urdf

        source = arm_urdf()
    recording = recording.adapted(flags.joint_prefix, held_from(flags.held))
    recording.check_joints(model)
    return recording, model, source


def check_motion(recording: Recording, model: Any, q: NDArray[np.float64]) -> None:
    """Check that the robot moves.

    Args:
        recording: named in messages.
        model: the robot.
        q: its readings [m,nq].

    Raises:
        InputError: no joint does.
    """
    if len(q) < 2:
        return
    travel = np.ptp(q, axis=0)
    if travel.max(initial=0.0) < STILL:
        raise InputError(
            f"the robot never moves in {recording.source}: no joint travels more than "
            f"{travel.max(initial=0.0):.2g} rad or m over {len(q)} images; poses must differ"
        )
    still = [n for n, t in zip(model.joint_names, travel, strict=True) if t < STILL]
    if still:
        print(f"never moved: {', '.join(still)}; what depends on them shows less")


def frame_names(recording: Recording, model: Any) -> FrameNames:
    """Return what the camera's frames are called."""
    optical = recording.camera_frame or "camera_optical_frame"
    fixed = recording.static_transforms
    body = body_frame(fixed, optical, model.link_names)
    T = find_transform(fixed, body, optical) if body else None
    return FrameNames(optical, body if T is not None else "", T)


def offset_joints(model: Any, flags: Any, sought: Mapping[str, bool]) -> list[str] | None:
    """Return the joints whose offset is sought; None: all.

    Where the camera is sought too, the offset that cannot be told from its turn is held.
    """
    if flags.offset_joints:
        return list(flags.offset_joints)
    if not (sought["estimate_camera"] and sought["estimate_offsets"]):
        return None
    held = camera_like_joint(model, flags.camera_link or None)
    if held is None:
        return None
    print(f"offset of {held} held: images cannot tell it from a turn of the camera")
    return [n for n in model.joint_names if n != held]


def search_start(recording: Recording, model: Any, gaussians: Any, link: str) -> CameraStart:
    """Return a start of the camera's pose: what single images with depth agree on.

    Raises:
        InputError: the camera is on a link, there is no depth, or nothing is found.
    """
    from tqdm import tqdm

    from drrobot_ros.estimation.localize import Guess, Localizer

    if link:
        raise InputError(
            f"the pose of a camera on {link} is not searched: say roughly where it is in that "
            "link's frame: --camera-start"
        )
    frames = list(recording.read())
    picks = np.linspace(0, len(frames) - 1, min(SEARCH_IMAGES, len(frames))).round().astype(int)
    localizer = Localizer(model, gaussians)
    poses, reasons = [], []
    for i in tqdm(picks, desc="searching the camera", leave=False, disable=None):
        observation = frames[i].observation(model)
        if observation.depth_m is None:
            raise InputError(
                "the camera's pose is searched in images with depth only: say roughly where it "
                "is: --camera-start x y z, or x y z roll pitch yaw (10 cm and 5 degrees do no harm)"
            )
        found = localizer.find(observation, Guess(q=observation.joint_positions, q_sigma=0.02))
        poses += [c.T_base_camera for c in found.candidates[:1]]
        reasons.append(found.reason)
    if not poses:
        raise InputError(
            f"the camera's pose was not found in {len(picks)} images ({reasons[0]}): say roughly "
            "where it is: --camera-start"
        )
    # Scores of different images say nothing; the pose nearest to the others does.
    centers = np.stack([T[:3, 3] for T in poses])
    far = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    best = int(np.argmin(np.minimum(far, 0.5).sum(axis=1)))
    agree = int((far[best] < 2 * SEARCH_SIGMA[0]).sum())
    text = f"a search: {agree} of {len(picks)} images agree"
    return CameraStart(poses[best], *SEARCH_SIGMA, text)


def select_keyframes(
    recording: Recording,
    model: Any,
    gaussians: Any,
    camera: Any,
    limit: int,
    sought: Mapping[str, bool],
) -> list[tuple[str, Observation]]:
    """Return names and observations of the images to calibrate with, in order of time.

    All images of a folder are used. Of a bag, poses far from each other are looked at, in images
    of a slow arm (of a moving one too if a lag is sought, which only those show), and those kept
    that are sharp and add information.
    """
    from tqdm import tqdm

    if not recording.continuous:
        return [(frame.name, frame.observation(model)) for frame in recording.read()]
    from drrobot_ros.estimation.calibration import KeyframeConfig, KeyframeSelector

    moving = sought["estimate_lag"]
    order = spread_poses(recording, model, 3 * limit, moving)
    wanted, seen = set(order), {}
    frames = recording.read()
    bar = tqdm(frames, total=recording.count, desc="choosing images", leave=False, disable=None)
    for i, frame in enumerate(bar):
        if i in wanted:
            seen[i] = (frame.name, frame.observation(model))
    config = KeyframeConfig(max_speed=10.0, min_motion=STILL) if moving else KeyframeConfig()
    offsets = sought["estimate_offsets"]
    selector = KeyframeSelector(model, gaussians, camera, config, offsets=offsets)
    chosen, refused = [], []
    for i in order:
        if len(chosen) == limit:
            break
        decision = selector.offer(seen[i][1])
        if decision.accepted:
            chosen.append(i)
        else:
            refused.append(f"  {seen[i][0]} not used: {decision.reason}")
    print(f"{len(chosen)} of {recording.count} images chosen")
    if refused and len(chosen) < limit:
        print(
            "\n".join([*refused[:3], *([f"  and {len(refused) - 3} more"] if refused[3:] else [])])
        )
    return [seen[i] for i in sorted(chosen)]


def spread_poses(recording: Recording, model: Any, count: int, moving: bool) -> list[int]:
    """Return indices of images whose joint positions are far from each other, the farthest first.

    Images of an arm that moves fast are left out, unless all do or `moving` wants them.
    """
    frames = [(frame.q(model), frame.speed) for frame in recording.read()]
    q = np.array([position for position, _ in frames])
    slow = np.array([speed is None or speed < SLOW for _, speed in frames])
    allowed = np.ones(len(q), bool) if moving or slow.sum() < 3 else slow
    distance = np.where(allowed, np.inf, -1.0)
    chosen: list[int] = []
    at = int(np.argmax(allowed))
    while len(chosen) < count and distance[at] > (STILL if chosen else -1.0):
        chosen.append(at)
        distance = np.minimum(distance, np.linalg.norm(q - q[at], axis=1))
        at = int(np.argmax(distance))
    return chosen
