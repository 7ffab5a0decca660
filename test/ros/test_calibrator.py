"""The action Calibrate over real DDS: collecting, feedback, cancelling, refusing, failing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from action_msgs.msg import GoalStatus
from fake_calibrator import OFFSET, STEPS
from fake_library import GOOD_URDF
from probe import HEIGHT, WIDTH, Probe
from rclpy.action import ActionClient
from std_msgs.msg import String

from drrobot_msgs.action import Calibrate
from drrobot_ros.ros.conversions import matrix_from_numbers, matrix_from_transform

SCRIPT = str(Path(__file__).with_name("fake_calibrator.py"))
START = [2.0, 0.1, 0.5, -1.6, 0.05, 1.5]
ABORTED, CANCELED, SUCCEEDED = (
    GoalStatus.STATUS_ABORTED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_SUCCEEDED,
)


class Driver(Probe):
    """A camera and an arm that moves when it is told to, and a client of the action."""

    def __init__(self) -> None:
        super().__init__()
        self.client = ActionClient(self.node, Calibrate, "calibrator/calibrate")
        self.feedback: list = []
        self.angle, self.step, self.brightness = 0.0, 0.0, 50
        self.names = ["shoulder", "elbow"]

    def drive(self) -> None:
        """Send an image and joint states of an arm that goes on moving."""
        self.angle += self.step
        self.image()  # sets the stamp
        self.joints_pub.publish(self.joints(self.names, [self.angle, 0.5]))
        self.info_pub.publish(self.info())
        image = self.image(self.brightness)
        image.header = self.header()
        self.image_pub.publish(image)

    def start(self, **goal):
        """Send a goal; return its handle when it was answered."""
        self.feedback.clear()
        request = Calibrate.Goal(**goal)
        future = self.client.send_goal_async(
            request, feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        return self.until(future.result, each=self.drive)

    def result(self, handle, timeout_s=20.0):
        future = handle.get_result_async()
        answer = self.until(future.result, timeout_s, each=self.drive)
        return answer.status, answer.result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


@pytest.fixture(scope="module")
def process(start_node, folder):
    given = {
        "initial_camera_pose": START,
        "folder": folder,
        "still_timeout_s": 1.5,
        "preview_width": 320,
        "calibration.min_keyframes": 3,
    }
    words = [word for k, v in given.items() for word in ("-p", f"{k}:={v}")]
    return start_node(SCRIPT, "--ros-args", *words)


@pytest.fixture(scope="module")
def driver(process):
    driver = Driver()
    assert driver.client.wait_for_server(timeout_sec=30.0), process.output()
    handle = driver.start(timeout_s=5.0)  # no robot yet
    status, result = driver.result(handle)
    assert (status, result.message) == (ABORTED, "waiting for a robot description")
    driver.description_pub.publish(String(data=GOOD_URDF))
    driver.until(lambda: "ready for a goal" in process.output(), 20.0)
    yield driver
    driver.close()
    assert process.stop() == 0


@pytest.fixture(autouse=True)
def fresh(driver, process):
    driver.step, driver.brightness, driver.names = 0.02, 50, ["shoulder", "elbow"]
    yield
    assert process.alive()


def test_collects_solves_and_writes(driver, folder):
    status, result = driver.result(driver.start(keyframes=4))
    assert (status, result.success, result.verdict) == (SUCCEEDED, True, "good")
    stages = [f.stage for f in driver.feedback]
    assert stages == sorted(stages) and set(stages) == {0, 1, 2}
    kept = [f.keyframes for f in driver.feedback]
    assert kept == sorted(kept) and kept[-1] == 4
    assert {f.keyframes_wanted for f in driver.feedback} == {4}
    refused = [f for f in driver.feedback if f.refusal]
    assert refused and refused[-1].refusal == "too near to a keyframe that there is already"
    assert refused[-1].images_refused > 3
    # Pictures: each keyframe as it came, then those of the solver with the contour.
    first = next(f for f in driver.feedback if len(f.preview.data))
    pixels = cv2.imdecode(np.asarray(first.preview.data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (HEIGHT, WIDTH, 3) and abs(int(pixels.mean()) - 50) < 3
    solving = [f for f in driver.feedback if f.stage == Calibrate.Feedback.SOLVING]
    assert len(solving) == STEPS
    assert cv2.imdecode(np.asarray(solving[-1].preview.data, np.uint8), 1).shape == (240, 320, 3)
    assert [r.residual for r in solving[-1].residuals] == pytest.approx([1 / STEPS] * 4)
    # The result.
    (camera,) = result.cameras
    assert camera.transform.header.frame_id == "base"
    assert camera.transform.child_frame_id == "optical"
    T = matrix_from_transform(camera.transform.transform)
    np.testing.assert_allclose(T, matrix_from_numbers(START), atol=1e-9)
    covariance = np.reshape(camera.covariance, (6, 6))
    R = T[:3, :3]
    np.testing.assert_allclose(
        covariance[:3, :3], R @ np.diag([1e-6, 2e-6, 3e-6]) @ R.T, atol=1e-12
    )
    assert camera.time_offset_s == 0.02
    assert list(result.joint_names) == ["shoulder", "elbow"]
    assert list(result.offsets) == pytest.approx([OFFSET, 2 * OFFSET])
    assert list(result.offsets_stddev) == pytest.approx([0.001, 0.001])
    assert [k.weight for k in result.keyframes] == [1.0, 0.0, 1.0, 1.0]
    assert result.keyframes[1].reason == "blurred"
    assert list(result.unobservable) == ["elbow does not move any visible pixel"]
    (file,) = map(Path, result.files)
    assert file.parent.parent == folder and "source: <robot" in file.read_text()


def test_the_goal_says_what_to_solve_and_where_to_write(driver, tmp_path):
    goal = {"keyframes": 3, "solve_offsets": False, "folder": str(tmp_path)}
    _, result = driver.result(driver.start(**goal))
    assert result.success and not result.joint_names
    assert Path(result.files[0]).parent.parent == tmp_path


def test_cancelled_while_it_collects_and_while_it_solves(driver, folder):
    before = set(folder.iterdir())
    for stage in (0, 1):
        handle = driver.start(keyframes=4)
        driver.until(lambda s=stage: driver.feedback and driver.feedback[-1].stage == s,
                     each=driver.drive)  # fmt: skip
        answer = driver.until(handle.cancel_goal_async().result, each=driver.drive)
        assert len(answer.goals_canceling) == 1
        status, result = driver.result(handle, timeout_s=2.0)
        assert (status, result.success) == (CANCELED, False)
        assert "nothing was written" in result.message
        driver.spin(0.4)  # the solver stops at its next step
    assert set(folder.iterdir()) == before
    _, result = driver.result(driver.start(keyframes=3))
    assert result.success


def test_a_second_goal_is_rejected_and_the_first_goes_on(driver, process):
    first = driver.start(keyframes=4)
    assert first.accepted
    feedback = list(driver.feedback)
    second = driver.start(keyframes=4)
    assert not second.accepted
    assert "a goal was rejected: another calibration is still running" in process.output()
    driver.feedback[:0] = feedback
    status, _ = driver.result(first)
    assert status == SUCCEEDED


def test_a_robot_that_never_moves(driver):
    driver.step = 0.0
    status, result = driver.result(driver.start(keyframes=5))
    assert (status, result.success, result.verdict) == (ABORTED, False, "")
    assert "the robot never moved" in result.message and "move the arm" in result.message


def test_time_is_up(driver):
    driver.step = 0.02
    handle = driver.start(keyframes=500, timeout_s=0.4)
    status, result = driver.result(handle)
    assert status == ABORTED
    assert "at least 3 are needed" in result.message
    # With enough of them it solves with what there is.
    handle = driver.start(keyframes=500, timeout_s=2.5)
    status, result = driver.result(handle)
    assert status == SUCCEEDED and len(result.keyframes) >= 3


def test_no_joint_states(driver):
    driver.names = ["left_knee", "right_knee"]
    driver.spin(2.5)  # older ones are forgotten
    status, result = driver.result(driver.start(keyframes=3))
    assert status == ABORTED
    assert "positions of all joints" in result.message


def test_a_calibration_that_is_not_believed(driver):
    driver.brightness = 220
    status, result = driver.result(driver.start(keyframes=3))
    assert (status, result.success, result.verdict) == (ABORTED, False, "failed")
    assert "residuals are large" in result.message
    assert len(result.cameras) == 1  # for people to look at


def test_a_solver_that_fails(driver):
    driver.brightness = 250
    status, result = driver.result(driver.start(keyframes=3))
    assert status == ABORTED and result.message == "RuntimeError: the solver blew up"
    driver.until(lambda: driver.summary("idle", "calibrator"), each=driver.drive)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ({"keyframes": 2}, "at least 3 are needed"),
        ({"timeout_s": -1.0}, "timeout_s must be positive, got -1.0"),
        ({"solve_camera": False, "solve_offsets": False}, "asks for nothing"),
    ],
)
def test_goals_that_make_no_sense(driver, goal, words):
    status, result = driver.result(driver.start(**goal))
    assert status == ABORTED and words in result.message
