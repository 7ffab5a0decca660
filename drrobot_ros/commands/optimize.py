"""Find joint positions, or a motion, from a sentence, tracks of points, a picture or a video.

Writes trajectory.yaml, which has passed the safety gate, plan.json (costs, why it stopped) and
pictures: start, goal, result, overlay, losses.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.commands.cameras import add_camera_flags, lens_from
from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import (
    RobotFlags,
    add_joint_flag,
    joints_from,
    load_model,
    load_splats,
)
from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.pose_numbers import pose_from_numbers
from drrobot_ros.media import read_sequence, write_image

SUMMARY = "joint targets from a sentence, tracks, a picture or a video"
_GREY = (0.55, 0.6, 0.65)  # white robots must not vanish


@dataclasses.dataclass(frozen=True)
class OptimizeFlags:
    """What is wanted, and what is written."""

    text: str = setting("", "sentence that the robot is to look like")
    negative: tuple[str, ...] = setting((), "sentences that it is not to look like")
    text_model: str = setting(
        "small", "text-image model: 'small' (the project's own), a folder, or a name of the hub"
    )
    image: str = setting("", "picture that the robot is to look like, seen by the camera")
    mask: str = setting("", "where the robot is on that picture: white on black")
    tracks: str = setting("", ".npz file of tracks of points that the robot is to follow")
    correspondence: str = setting(
        "bound",
        "bound: the tracks begin on this robot at --joints; chamfer: they are another's",
        choices=("bound", "chamfer"),
    )
    video: str = setting("", "video, or folder of images, of such a robot moving")
    track_video: bool = setting(
        False, "follow points of the video (Lucas-Kanade) in place of estimating its joints"
    )
    cotracker: str = setting("", "folder with CoTracker's code and weights, used by --track-video")
    camera_known: bool = setting(False, "the video's camera is exactly where --camera-pose says")
    video_rate_hz: float = setting(
        0.0, "of the video; 0: the video's own, 30 for images", unit="Hz", minimum=0.0
    )
    max_images: int = setting(0, "of the video; 0: all", minimum=0)
    generator: str = setting(
        "", "folder of a diffusers image-to-video pipeline: makes the video from --image and --text"
    )
    free_joints: tuple[str, ...] = setting((), "joints that may move; none: all")
    obstacles: str = setting("", "yaml file of what stands around the robot")
    output: str = setting("optimize", "folder for what is written")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, OptimizeFlags)
    add_camera_flags(parser, required=False)
    group = parser.add_argument_group("robot")
    add_flags(group, RobotFlags)
    add_joint_flag(parser, "start")
    add_flags(parser.add_argument_group("search"), PlanConfig, "plan-")
    add_flags(parser.add_argument_group("safety"), SafetyConfig, "safety-")


def run(options: argparse.Namespace) -> int:
    """Plan; return 1 if the motion is not safe and therefore not written."""
    from drrobot_ros.control.obstacles import read_obstacles
    from drrobot_ros.control.planning import Planner, PlanRequest
    from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
    from drrobot_ros.control.text.encoder import load_encoder

    flags = from_flags(OptimizeFlags, options)
    config = from_flags(PlanConfig, options, "plan-")
    wanted = [k for k in ("text", "image", "tracks", "video") if getattr(flags, k)]
    if not wanted:
        raise InputError("nothing is wanted: give --text, --image, --tracks or --video")
    robot = from_flags(RobotFlags, options)
    model = load_model(robot)
    start = joints_from(options.joints, model)
    goals, views = goals_and_views(flags, options)
    obstacles = read_obstacles(flags.obstacles) if flags.obstacles else ()
    gate = SafetyGate(model, from_flags(SafetyConfig, options, "safety-"), obstacles)
    if not options.joints:  # a neutral position may lie at a limit
        start = np.clip(start, gate.limits.lower, gate.limits.upper)
    print(f"{model.name}: sampling its surface ...")
    encoder = load_encoder(flags.text_model) if flags.text and not flags.generator else None
    planner = Planner(model, load_splats(robot, model), gate, encoder)
    request = PlanRequest(goals, start, views, flags.free_joints, config)
    plan = _watched(planner, request)
    folder = Path(flags.output)
    for name, image in plan.pictures.items():
        write_image(folder / f"{name}.png", image)
    try:
        motion = planner.trajectory(plan, start)
    except UnsafeMotionError as error:
        _write_about(folder, plan, refused=str(error))
        print(f"refused, no trajectory is written: {error}")
        return 1
    _write_about(folder, plan, duration_s=round(motion.duration_s, 3))
    from drrobot_ros.control.motion_files import write_motion

    about = {"robot": model.name, "goals": wanted, "stopped": plan.stop_reason.value}
    write_motion(folder / "trajectory.yaml", model.joint_names, motion, about)
    moved = np.degrees(np.abs(plan.q[-1] - start).max())
    print(
        f"cost {plan.start_cost:.4g} -> {plan.cost:.4g} in {plan.time_s:.1f} s "
        f"({plan.stop_reason.value}); {len(plan.q)} waypoints, up to {moved:.0f} deg or 0.01 m, "
        f"{motion.duration_s:.1f} s long"
    )
    if plan.unseen_joints:
        print(
            f"not shown by the picture, and so not known: {', '.join(plan.unseen_joints)} "
            "(however they turn, the robot looks the same)"
        )
    print(f"written: {folder}/trajectory.yaml, plan.json, {', '.join(plan.pictures)} (.png)")
    return 0


def goals_and_views(
    flags: OptimizeFlags, options: argparse.Namespace
) -> tuple[list[Any], tuple[Any, ...]]:
    """Return the goals that the flags name, and the viewpoints they need.

    Raises:
        InputError: a file that cannot be read, a camera that is missing, or flags that contradict.
    """
    from drrobot_ros.control.candidate import Viewpoint
    from drrobot_ros.control.goals import PictureGoal, SentenceGoal, TracksGoal, VideoGoal
    from drrobot_ros.control.points.track_set import TrackSet

    images, rate_hz = _images(flags)
    picture = _one(flags.image) if flags.image else None
    tracks = TrackSet.load(flags.tracks) if flags.tracks else None
    size: tuple[int, int] | None = None
    for seen in (picture, images[0] if images else None):
        if seen is not None:
            size = (seen.shape[1], seen.shape[0])
    if tracks is not None:
        size = tracks.image_size
    if size is None:  # a sentence alone
        return [SentenceGoal(flags.text, flags.negative)], ()  # seen from the front
    if options.camera is None and not options.camera_info:
        raise InputError("the camera is not known: give --camera or --camera-info")
    if options.camera_pose is None:
        raise InputError("where the camera is, is not known: give --camera-pose")
    lens = lens_from(options, *size)
    view = Viewpoint(lens.camera, pose_from_numbers(options.camera_pose), _GREY)

    def straight(image: Any) -> Any:
        return np.ascontiguousarray(lens.rectify(image))

    goals: list[Any] = []
    images = [straight(image) for image in images]
    if flags.generator:
        if picture is None or not flags.text:
            raise InputError("--generator needs --image, where the video begins, and --text")
        from drrobot_ros.control.video_generation import VideoGenerator

        images = VideoGenerator(flags.generator).generate(straight(picture), flags.text)
        return [VideoGoal(images, rate_hz, camera_known=flags.camera_known)], (view,)
    if images and flags.track_video:
        tracks = _followed(flags, images, rate_hz)
    elif images:
        goals.append(VideoGoal(images, rate_hz, camera_known=flags.camera_known))
    if tracks is not None:
        goals.append(TracksGoal(tracks, correspondence=flags.correspondence))
    if picture is not None:
        mask = None
        if flags.mask:
            mask = _one(flags.mask)[..., 0] > 127
        goals.append(PictureGoal(straight(picture), mask))
    if flags.text:
        goals.append(SentenceGoal(flags.text, flags.negative))
    return goals, (view,)


def _images(flags: OptimizeFlags) -> tuple[list[Any], float]:
    if not flags.video:
        return [], flags.video_rate_hz or 8.0
    rate_hz, images = read_sequence(flags.video, flags.video_rate_hz)
    found = []
    for image in images:
        found.append(np.asarray(image))
        if flags.max_images and len(found) >= flags.max_images:
            break
    return found, rate_hz


def _one(path: str) -> Any:
    _, images = read_sequence(path, 0.0)
    first = next(iter(images), None)
    if first is None:
        raise InputError(f"no image in {path}")
    return np.asarray(first)


def _followed(flags: OptimizeFlags, images: list[Any], rate_hz: float) -> Any:
    """Return tracks of points of a video; those that begin off the robot are left out later."""
    from drrobot_ros.control.points.cotracker import CoTracker
    from drrobot_ros.control.points.lucas_kanade import track_points

    times = np.arange(len(images)) / rate_hz
    if flags.cotracker:
        return CoTracker(flags.cotracker).track_points(images, grid=40, times_s=times)
    return track_points(images, times_s=times)


def _watched(planner: Any, request: Any) -> Any:
    from tqdm import tqdm

    with tqdm(total=100, unit="%", leave=False, disable=None) as bar:

        def watch(progress: Any) -> bool:
            bar.set_description(progress.stage)
            bar.set_postfix(cost=f"{progress.cost:.4g}", refresh=False)
            bar.update(max(0, int(100 * progress.fraction) - bar.n))
            return True

        return planner.plan(request, watch)


def _write_about(folder: Path, plan: Any, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "joint_names": list(plan.joint_names),
        "start": plan.start.tolist(),
        "waypoints": plan.q.tolist(),
        "times_s": plan.times_s.tolist(),
        "cost": plan.cost,
        "start_cost": plan.start_cost,
        "terms": plan.terms,
        "start_terms": plan.start_terms,
        "curve": [list(point) for point in plan.curve],
        "stopped": plan.stop_reason.value,
        "time_s": round(plan.time_s, 3),
        "unseen_joints": list(plan.unseen_joints),
        **more,
    }
    (folder / "plan.json").write_text(json.dumps(data, indent=1) + "\n")
