"""The action OptimizeJointTarget with what a camera shows: pictures, tracks and videos."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from arm_world import ArmWorld, skip_where_busy, watched
from drawn_arm import drawn
from fake_arm import CAMERA, HOME, T_BASE_CAMERA
from std_msgs.msg import Header

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_msgs.msg import ControlObjective
from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.points.robot_points import visible_points
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.media import VideoWriter
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.splats import GaussianRobot

OFFSETS = np.deg2rad([3.0, -3.0, 2.0, -2.0, 3.0, -3.0])
THERE = HOME + np.array([0.35, -0.25, 0.3, 0.25, -0.3, 0.0])
R = OptimizeJointTarget.Result
STEPS, RATE_HZ = 16, 20.0


class World(ArmWorld):
    """An arm, the node, and a client of its action; the node's splats are the camera's truth."""

    def __init__(self, start_node) -> None:
        action = (OptimizeJointTarget, "visual_control/optimize_joint_target")
        values = {
            "camera_pose": [float(x) for x in numbers_from_pose(T_BASE_CAMERA)],
            "splat_count": 1500,
            "plan.budget_s": 60.0,
            "plan.self_collision": 0.0,
            "execution.lead_s": 0.1,
            "following.silence_s": 2.0,
            "following.delay_s": 0.6,
            "seen_patience_s": 1.5,
        }
        node = "drrobot_ros.ros.nodes.visual_control"
        super().__init__(start_node, node, action, OFFSETS, values)
        self.splats = GaussianRobot.from_model(self.fake.model, count=1500)
        self.eye = Viewpoint(CAMERA.resized(256, 192), T_BASE_CAMERA)

    def ask(self, objective: ControlObjective, **goal):
        goal_message = OptimizeJointTarget.Goal(objectives=[objective], **goal)
        handle = self.request(goal_message)
        assert handle.accepted
        return self.result(handle, 120.0)[1]

    def picture(self, q: np.ndarray) -> np.ndarray:
        """Return what the camera sees, before a wall with a pattern."""
        return drawn(self.fake.model, self.splats, q, self.eye.camera, T_BASE_CAMERA)


@pytest.fixture(scope="module")
def world(start_node):
    skip_where_busy()
    world = World(start_node)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def well(world):
    yield from watched(world)


def motion() -> np.ndarray:
    """From where the arm is, there and half the way back [STEPS, 6]."""
    part = np.sin(np.linspace(0.0, 0.75 * np.pi, STEPS))
    return HOME + part[:, None] * (THERE - HOME)


def off_deg(q, goal) -> np.ndarray:
    return np.rad2deg(np.abs(np.asarray(q) - goal))[:5]  # the last turns about its own axis


def test_a_picture_is_gone_to(world) -> None:
    image = rgb_to_image(world.picture(THERE), Header())
    result = world.ask(ControlObjective(kind="picture", image=image), execute=True)
    assert result.outcome == R.EXECUTED, result.message
    assert off_deg(result.target, THERE).max() < 3.0
    assert off_deg(world.fake.true_q(), THERE).max() < 4.0  # in spite of the encoders
    assert {"goal", "result", "overlay"} <= set(result.picture_names)
    home = ControlObjective(
        kind="joints", joint_names=[f"joint_{i}" for i in range(1, 7)], positions=HOME.tolist()
    )
    assert world.ask(home, execute=True).success


def test_tracks_are_followed(world, tmp_path) -> None:
    model = world.fake.model
    points = visible_points(model, world.splats, HOME, world.eye, 150)
    pixels, _, _ = points.project(model, motion(), world.eye)
    seen = points.visible(model, world.splats, motion(), world.eye)
    TrackSet(pixels, (256, 192), np.arange(STEPS) / RATE_HZ, seen).save(tmp_path / "t.npz")
    result = world.ask(ControlObjective(kind="tracks", file=str(tmp_path / "t.npz")))
    assert result.outcome == R.PLANNED, result.message
    ends, _, _ = points.project(model, np.array(result.target)[None], world.eye)
    off_px = np.linalg.norm(ends[0] - pixels[-1], axis=1)[seen[-1]]
    moved_px = np.linalg.norm(pixels[0] - pixels[-1], axis=1)[seen[-1]]
    assert np.percentile(moved_px, 90) > 8
    assert np.percentile(off_px, 90) < 1.5  # the turns of the wrist are less than that
    reached = max(np.linalg.norm(np.array(p.positions) - HOME) for p in result.trajectory.points)
    assert reached > 0.8 * np.linalg.norm(motion() - HOME, axis=1).max()  # there, not only the end


def test_a_video_is_followed(world, tmp_path) -> None:
    path = tmp_path / "demo.mp4"
    with VideoWriter(path, RATE_HZ) as video:
        for q in motion():
            video.add(world.picture(q))
    result = world.ask(ControlObjective(kind="video", file=str(path)))
    assert result.outcome == R.PLANNED, result.message
    assert off_deg(result.target, motion()[-1]).max() < 6.0
