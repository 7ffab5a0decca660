"""The action ReconstructScene over DDS: from goal or topics, feedback, refusing, cancelling."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from action_msgs.msg import GoalStatus
from fake_library import GOOD_URDF
from fake_scene import HALF
from geometry_msgs.msg import PoseWithCovarianceStamped
from probe import HEIGHT, WIDTH, Probe
from rclpy.action import ActionClient
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from drrobot_msgs.action import ReconstructScene
from drrobot_msgs.msg import EstimatorStatus, Scene
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import matrix_from_pose, pose_from_matrix
from drrobot_ros.ros.images import depth_to_image
from drrobot_ros.ros.scene_messages import grasp_scene, markers_of, mesh_arrays

SCRIPT = str(Path(__file__).with_name("fake_scene.py"))
ABORTED, CANCELED, SUCCEEDED = (
    GoalStatus.STATUS_ABORTED,
    GoalStatus.STATUS_CANCELED,
    GoalStatus.STATUS_SUCCEEDED,
)
BOXES = {
    "center_x": [20.0, 40.0],
    "center_y": [20.0, 20.0],
    "size_x": [8.0, 8.0],
    "size_y": [10.0, 10.0],
}
T_BASE_CAMERA = np.array([[0, 0, 1, -0.5], [-1, 0, 0, 0], [0, -1, 0, 0.4], [0, 0, 0, 1.0]])


class Driver(Probe):
    """A camera, an estimator, and a client of the action."""

    def __init__(self) -> None:
        super().__init__()
        name = "scene_reconstructor"
        self.client = ActionClient(self.node, ReconstructScene, f"{name}/reconstruct_scene")
        self.watch("scene", Scene, f"{name}/scene", qos.LATCHED)
        self.watch("markers", MarkerArray, f"{name}/markers", qos.LATCHED)
        self.status = self.node.create_publisher(
            EstimatorStatus, "pose_estimator/status", qos.OUTPUT
        )
        self.pose = self.node.create_publisher(
            PoseWithCovarianceStamped, "pose_estimator/camera_pose", qos.OUTPUT
        )
        self.state = EstimatorStatus.TRACKING
        self.feedback: list = []

    def drive(self) -> None:
        """Send an image with depth, and what the estimator says."""
        image = self.image(80)
        self.joints_pub.publish(self.joints(["shoulder", "elbow"], [0.1, 0.2]))
        pose = PoseWithCovarianceStamped(header=self.header("base"))
        pose.pose.pose = pose_from_matrix(T_BASE_CAMERA)
        self.pose.publish(pose)
        status = EstimatorStatus(header=self.header("base"), state=self.state)
        status.joint_names = ["shoulder", "elbow"]
        status.position, status.position_stddev = [0.1, 0.2], [0.01, 0.01]
        self.status.publish(status)
        self.depth_pub.publish(self.depth())
        self.info_pub.publish(self.info())
        self.image_pub.publish(image)

    def depth(self):
        return depth_to_image(np.full((HEIGHT, WIDTH), 0.8, np.float32), self.header())

    def start(self, each=True, **goal):
        self.feedback.clear()
        request = ReconstructScene.Goal(**{**BOXES, **goal})
        future = self.client.send_goal_async(
            request, feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        return self.until(future.result, each=self.drive if each else None)

    def result(self, handle, each=True):
        future = handle.get_result_async()
        answer = self.until(future.result, 20.0, each=self.drive if each else None)
        return answer.status, answer.result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="module")
def process(start_node, folder):
    given = {"subscribe_depth": "true", "folder": folder, "pictures_width": 32}
    words = [word for k, v in given.items() for word in ("-p", f"{k}:={v}")]
    return start_node(SCRIPT, "--ros-args", *words)


@pytest.fixture(scope="module")
def driver(process):
    driver = Driver()
    assert driver.client.wait_for_server(timeout_sec=40.0), process.output()
    status, result = driver.result(driver.start())
    assert status == ABORTED and "set base_frame, or give the robot" in result.message
    driver.description_pub.publish(String(data=GOOD_URDF))
    driver.until(lambda: "taken out of images" in process.output(), 20.0)
    yield driver
    driver.close()
    assert process.stop() == 0


@pytest.fixture(autouse=True)
def fresh(driver, process):
    driver.state = EstimatorStatus.TRACKING
    yield
    assert process.alive(), process.output()


def test_from_topics(driver, folder):
    status, result = driver.result(driver.start(names=["cup", "box"]))
    assert (status, result.success, result.believable) == (SUCCEEDED, True, True), result.message
    scene = result.scene
    assert scene.header.frame_id == "base" and [o.name for o in scene.objects] == ["cup", "box"]
    np.testing.assert_allclose(matrix_from_pose(scene.camera_pose), T_BASE_CAMERA, atol=1e-9)
    np.testing.assert_allclose(scene.plane, [0, 0, 1, 0])
    vertices, faces = mesh_arrays(scene.objects[0].mesh)
    np.testing.assert_allclose(vertices.max(0), HALF)
    assert len(faces) == 12 and len(scene.objects[0].pieces) == 1
    assert Path(result.files[0]).read_text() == "2" and str(folder) in result.files[0]
    assert [f.stage for f in driver.feedback][-2:] == ["meshes", "done"]
    percent = [f.percent for f in driver.feedback]
    assert percent == sorted(percent) and percent[-1] == 100
    picture = next(f for f in driver.feedback if f.stage == "masks").pictures[0]
    assert cv2.imdecode(np.asarray(picture.data, np.uint8), 1).shape[1] == 32
    # The same scene is there for those who come later, and for RViz.
    driver.until(lambda: driver.received["scene"] and driver.received["markers"])
    assert driver.received["scene"][-1] == scene
    kinds = [m.type for m in driver.received["markers"][-1].markers if m.action == Marker.ADD]
    assert kinds.count(Marker.TRIANGLE_LIST) == 2 and kinds.count(Marker.TEXT_VIEW_FACING) == 2


def test_message_is_what_grasping_needs(driver):
    _, result = driver.result(driver.start())
    scene = grasp_scene(result.scene)
    assert [o.name for o in scene.objects] == ["object_0", "object_1"]
    np.testing.assert_allclose(scene.objects[1].T_base_object[:3, 3], [0.1, 0.15, HALF[2]])
    np.testing.assert_allclose(scene.T_base_camera, T_BASE_CAMERA, atol=1e-9)
    assert scene.objects[0].mass_kg == pytest.approx(0.2)
    names = [m.text for m in markers_of(result.scene).markers if m.text]
    assert names == ["object_0 90 %", "object_1 90 %"]


def test_from_the_goal(driver):
    image = driver.image(90)
    goal = {"image": image, "depth": driver.depth(), "camera_info": driver.info()}
    status, result = driver.result(driver.start(each=False, **goal), each=False)
    assert status == SUCCEEDED, result.message
    assert result.scene.header.stamp == image.header.stamp


def test_lost_camera_is_not_believed(driver):
    driver.state = EstimatorStatus.LOST
    driver.until(lambda: True, each=driver.drive)
    driver.spin(0.3)
    status, result = driver.result(driver.start())
    assert status == SUCCEEDED and not result.believable
    assert "lost" in " ".join(result.scene.warnings).lower()
    assert max(o.confidence for o in result.scene.objects) < 0.5


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ({"size_y": [10.0]}, "as many centres as sizes"),
        ({k: [] for k in BOXES}, "at least one"),
        ({"names": ["a"]}, "1 names for 2 boxes"),
        ({"size_x": [float("nan"), 1.0]}, "finite"),
        ({"timeout_s": -1.0}, "timeout_s must be positive"),
    ],
)
def test_bad_goals(driver, goal, words):
    status, result = driver.result(driver.start(**goal))
    assert status == ABORTED and words in result.message


def test_bad_depth_and_crash(driver):
    for brightness, depth_m, words in ((90, 0.0, "zero everywhere"), (250, 0.8, "blew up")):
        image = driver.image(brightness)
        depth = depth_to_image(np.full((HEIGHT, WIDTH), depth_m, np.float32), driver.header())
        goal = {"image": image, "depth": depth, "camera_info": driver.info()}
        status, result = driver.result(driver.start(each=False, **goal), each=False)
        assert status == ABORTED and words in result.message


def test_no_image_comes(driver):
    status, result = driver.result(driver.start(each=False, timeout_s=0.4), each=False)
    assert status == ABORTED and "no image with camera_info and depth" in result.message


def test_second_goal_is_rejected_and_first_can_be_cancelled(driver):
    first = driver.start()
    assert not driver.start().accepted
    driver.until(first.cancel_goal_async().result, each=driver.drive)
    status, result = driver.result(first)
    assert (status, result.message) == (CANCELED, "cancelled")
