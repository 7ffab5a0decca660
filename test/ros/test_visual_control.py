"""The action OptimizeJointTarget over real DDS: an arm that moves, is stopped, is never hurt."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from action_msgs.msg import GoalStatus
from arm_world import ArmWorld, skip_where_busy, watched
from fake_arm import HOME, T_BASE_CAMERA, Rejecting
from rclpy.action import ActionClient
from std_msgs.msg import Header

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_msgs.msg import ControlObjective, EstimatorStatus
from drrobot_ros.ros.conversions import pose_from_matrix
from drrobot_ros.ros.images import rgb_to_image

OFFSETS = np.deg2rad([5.0, -5.0, 4.0, -3.0, 5.0, -5.0])
THERE = HOME + np.array([0.8, -0.3, 0.2, 0.4, -0.2, 0.5])
FAR = HOME + np.array([2.4, -0.3, 0.2, 0.4, -0.2, 0.5])
R = OptimizeJointTarget.Result
PATIENT = {  # the machine may have much else to do
    "execution.lead_s": 0.1,
    "following.silence_s": 2.0,
    "following.delay_s": 0.6,
    "seen_patience_s": 1.5,
}


class World(ArmWorld):
    """An arm, the node, and a client of its action."""

    def __init__(self, start_node) -> None:
        action = (OptimizeJointTarget, "visual_control/optimize_joint_target")
        values = {
            "camera_pose": _numbers(T_BASE_CAMERA),
            "plan.budget_s": 10.0,
            "plan.starts": 1,
            "safety.velocity_scale": 0.25,  # motions long enough for all that may happen in them
            "feedback_rate_hz": 20.0,
            "preview_rate_hz": 5.0,
            **PATIENT,
        }
        node = "drrobot_ros.ros.nodes.visual_control"
        super().__init__(start_node, node, action, OFFSETS, values)
        self.rejecting = Rejecting(self.client_node, "rejecting/follow_joint_trajectory")

    def send(self, *objectives, **goal):
        """Send a goal; return its handle once it was answered."""
        return self.request(OptimizeJointTarget.Goal(objectives=list(objectives), **goal))

    def ask(self, *objectives, **goal):
        handle = self.send(*objectives, **goal)
        assert handle.accepted
        return self.result(handle)[1]

    def moving(self) -> None:
        before = len(self.fake.arm.told)
        self.until(lambda: len(self.fake.arm.told) > before)
        time.sleep(0.6)

    def home(self) -> None:
        self.fake.reset()
        assert self.ask(joints(HOME), execute=True).success


def _numbers(T) -> list:
    from drrobot_ros.geometry.pose_numbers import numbers_from_pose

    return [float(x) for x in numbers_from_pose(T)]


def joints(q, names=tuple(f"joint_{i}" for i in range(1, 7))) -> ControlObjective:
    return ControlObjective(kind="joints", joint_names=list(names), positions=[float(x) for x in q])


@pytest.fixture(scope="module")
def world(start_node):
    skip_where_busy()
    world = World(start_node)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def well(world):
    yield from watched(world)


def test_a_dry_run_is_the_default(world: World) -> None:
    told = len(world.fake.arm.told)
    result = world.ask(joints(THERE))
    assert result.outcome == R.PLANNED and result.success, result.message
    assert "dry run" in result.message and len(world.fake.arm.told) == told
    np.testing.assert_allclose(result.target, THERE, atol=0.02)
    np.testing.assert_allclose(result.offsets, OFFSETS, atol=0.01)
    assert list(result.trajectory.joint_names) == list(world.fake.model.joint_names)
    assert len(result.trajectory.points) > 50 and result.nearest > 0
    assert "start" in result.picture_names and len(result.pictures) == len(result.picture_names)
    assert result.cost < result.start_cost and result.stop_reason
    stages = {f.stage for f in world.feedback}
    assert OptimizeJointTarget.Feedback.OPTIMIZING in stages
    assert any(len(f.preview.data) for f in world.feedback)
    assert all(0 <= f.percent <= 100 for f in world.feedback)


def test_executes_where_the_camera_sees_it(world: World) -> None:
    """The encoders' error, known from the estimator, is made up for."""
    result = world.ask(joints(THERE), execute=True)
    assert result.outcome == R.EXECUTED, result.message
    off = np.rad2deg(np.abs(world.fake.true_q() - THERE))
    assert off.max() < 1.0, off
    stages = [f.stage for f in world.feedback]
    assert OptimizeJointTarget.Feedback.EXECUTING in stages
    moving = [f for f in world.feedback if f.stage == OptimizeJointTarget.Feedback.EXECUTING]
    # NaN: it is not in motion yet, or not any more
    errors = [f.following_error for f in moving if np.isfinite(f.following_error)]
    assert errors and max(errors) < 0.05
    world.home()


def test_cancel_reaches_the_arm_in_50_ms(world: World) -> None:
    handle = world.send(joints(FAR), execute=True)
    world.moving()
    told = len(world.fake.arm.told)
    begin_s = time.monotonic()
    cancel = handle.cancel_goal_async()
    world.until(lambda: len(world.fake.arm.told) > told)
    took_s = world.fake.arm.told[-1][1] - begin_s
    assert world.until(cancel.result).goals_canceling
    status, result = world.result(handle)
    assert status == GoalStatus.STATUS_CANCELED and result.outcome == R.CANCELED
    assert took_s < 0.3, took_s  # 0.05 on an idle machine: benchmark control_safety
    assert 0.1 < world.fake.true_q()[0] < FAR[0] - 0.1
    world.home()


def test_cancel_while_it_optimizes(world: World) -> None:
    # Two things that cannot both be, so that it goes on until its time is up.
    handle = world.send(
        ControlObjective(kind="sentence", prompt="arm up"), execute=True, budget_s=30.0, starts=8
    )
    world.until(lambda: any(f.step > 2 for f in world.feedback))
    world.until(handle.cancel_goal_async().result)
    status, result = world.result(handle, 10.0)
    assert status == GoalStatus.STATUS_CANCELED
    assert result.outcome == R.CANCELED
    np.testing.assert_allclose(world.fake.true_q(), HOME, atol=0.02)


def test_one_goal_at_a_time_unless_it_preempts(world: World) -> None:
    first = world.send(joints(FAR), execute=True)
    world.moving()
    assert not world.send(joints(THERE)).accepted
    assert "another is being worked on" in world.process.output()
    second = world.send(joints(HOME), execute=True, preempt=True)
    assert second.accepted
    status, result = world.result(first)
    assert status == GoalStatus.STATUS_ABORTED and "preempted" in result.message
    assert world.result(second)[1].outcome == R.EXECUTED
    np.testing.assert_allclose(world.fake.true_q(), HOME, atol=0.02)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("lost", "the pose estimator is lost: as the test has it"),
        ("blind", "the arm was not seen for"),
        ("silent", "no joint states for"),
        ("stuck", "the arm does not follow: joint 'joint_1'"),
    ],
)
def test_whatever_goes_wrong_stops_the_arm(world: World, what: str, words: str) -> None:
    handle = world.send(joints(FAR), execute=True)
    world.moving()
    fake = world.fake
    if what == "lost":
        fake.state = EstimatorStatus.LOST
    elif what == "blind":
        fake.sees = False
    elif what == "silent":
        fake.silent = True
    else:
        fake.stuck = fake.arm.at(time.time())
    status, result = world.result(handle)
    assert status == GoalStatus.STATUS_ABORTED and result.outcome == R.STOPPED
    assert words in result.message
    assert 0.1 < fake.true_q()[0] < FAR[0] - 0.1
    q = fake.true_q()
    time.sleep(0.2)
    np.testing.assert_allclose(fake.true_q(), q)  # at rest
    fake.reset()
    time.sleep(1.0)
    world.home()


NAN = float("nan")
IMAGE = rgb_to_image(np.zeros((72, 96, 3), np.uint8), Header())
TALL = rgb_to_image(np.zeros((96, 72, 3), np.uint8), Header())


@pytest.mark.parametrize(
    ("objectives", "goal", "words"),
    [
        ([], {}, "no objectives"),
        ([ControlObjective(kind="dance")], {}, "unknown kind 'dance'; valid: sentence, picture"),
        ([ControlObjective(kind="sentence")], {}, "objective 0, sentence: the prompt is empty"),
        ([ControlObjective(kind="sentence", prompt="x" * 10_000)], {}, "has 10000 characters"),
        ([ControlObjective(kind="picture")], {}, "there is no image"),
        ([ControlObjective(kind="picture", image=TALL)], {}, "72x96, of other proportions"),
        ([ControlObjective(kind="tracks", file="/nowhere.npz")], {}, "/nowhere.npz"),
        ([ControlObjective(kind="video", file="/nowhere.mp4")], {}, "/nowhere.mp4"),
        ([ControlObjective(kind="link_pose", link="nose")], {}, "unknown link 'nose'"),
        ([joints([1.0], ["joint_9"])], {}, "unknown joint 'joint_9'; valid: joint_1"),
        ([joints([NAN], ["joint_1"])], {}, "joint 'joint_1' is not finite"),
        ([joints([9.0], ["joint_1"])], {}, "joint_1"),
        ([joints([1.0], ["joint_1"])], {"joints": ["joint_7"]}, "unknown joint 'joint_7'"),
        ([joints([1.0], ["joint_1"])], {"budget_s": NAN}, "budget_s must be finite"),
        ([ControlObjective(kind="sentence", prompt="x", weight=NAN)], {}, "weight must be finite"),
    ],
)
def test_bad_goals_are_refused_with_the_reason(world: World, objectives, goal, words) -> None:
    before = world.fake.true_q()
    result = world.ask(*objectives, execute=True, **goal)
    assert result.outcome in (R.REFUSED, R.UNSAFE) and not result.success
    assert words in result.message, result.message
    np.testing.assert_array_equal(world.fake.true_q(), before)


def test_a_picture_of_nothing_and_tracks_of_nothing(world: World, tmp_path) -> None:
    np.savez(tmp_path / "nan.npz", tracks=np.full((5, 3, 2), np.nan), image_size=(96, 72))
    result = world.ask(ControlObjective(kind="tracks", file=str(tmp_path / "nan.npz")))
    assert result.outcome == R.REFUSED and "no visible point" in result.message
    result = world.ask(ControlObjective(kind="picture", image=IMAGE), budget_s=2.0)
    assert result.outcome in (R.REFUSED, R.PLANNED, R.FAILED, R.UNSAFE) and result.message


def test_a_pose_of_a_link_and_only_some_joints(world: World) -> None:
    import torch

    model = world.fake.model
    link = model.link_names[-1]
    T = model.forward_kinematics(torch.from_numpy(THERE))[-1].numpy()
    wanted = ControlObjective(kind="link_pose", link=link, pose=pose_from_matrix(T))
    result = world.ask(wanted, budget_s=6.0)
    assert result.outcome == R.PLANNED, result.message
    reached = model.forward_kinematics(torch.tensor(list(result.target)))[-1].numpy()
    assert np.linalg.norm(reached[:3, 3] - T[:3, 3]) < 0.02
    result = world.ask(joints(THERE), joints=["joint_1", "joint_6"])
    moved = np.abs(np.array(result.target) - HOME) > 0.05
    np.testing.assert_array_equal(moved, [True, False, False, False, False, True])


def test_the_controller_rejects_is_absent_or_is_another_robots(
    world: World, start_node, tmp_path
) -> None:
    topics = ("joint_states", "pose_estimator/status", "camera_info")
    other = ["-r", "__ns:=/other", *(w for t in topics for w in ("-r", f"{t}:=/{t}"))]
    client = ActionClient(
        world.client_node, OptimizeJointTarget, "/other/visual_control/optimize_joint_target"
    )

    def started(name: str):
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"controllers: {{{name}: {{name: /{name}/follow_joint_trajectory}}}}")
        given = (f"controllers_file:={file}", f"controller:={name}")
        return world.start(*other, *(w for g in given for w in ("-p", g)))

    def asked(process, words: str):
        """Ask until the node knows who is there: it hears of others one by one."""
        world.until(lambda: "ready" in process.output(), 60.0)
        for _ in range(10):
            time.sleep(1.0)
            result = world.ask(joints(THERE), execute=True)
            if words in result.message:
                return result
        raise AssertionError(result.message)

    mine, world.client = world.client, client
    try:
        for name, outcome, words in (
            ("rejecting", R.STOPPED, "rejected the trajectory"),
            ("absent", R.REFUSED, "the controller is not there"),
        ):
            process = started(name)
            try:
                assert asked(process, words).outcome == outcome
            finally:
                ended = process.stop()
            assert ended == 0, process.output()
    finally:
        world.client = mine
    process = world.start(*other, "-p", "controller:=panda")
    world.until(lambda: "is not this robot's" in process.output(), 60.0)
    assert "unknown joint 'panda_joint1'" in process.output()
    assert process.stop() == 0
    process = world.start(*other, "-p", "controller:=lathe")
    assert process.process.wait(30.0) == 2
    assert "unknown controller 'lathe'; valid: simulated" in process.output()
