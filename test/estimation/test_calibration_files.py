"""What a calibration leaves behind: read back, and compared with the result."""

import dataclasses
import shlex
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from drrobot_ros.estimation.calibration.files import CameraFrames, FrameNames, write_calibration
from drrobot_ros.estimation.calibration.files.transforms import launch_file
from drrobot_ros.estimation.calibration.files.views import views_of
from drrobot_ros.estimation.calibration.gauge import camera_like_joint
from drrobot_ros.estimation.calibration.result import (
    CalibrationResult,
    CameraResult,
    KeyframeResult,
    Verdict,
)
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import StopReason
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.geometry.pose_numbers import pose_from_numbers
from drrobot_ros.robot import RobotModel

CAMERA = PinholeCamera.from_fov(160, 120, 0.8)
T = look_at((1.6, 0.3, 0.9), (0.0, 0.0, 0.4))
LINK_TO_OPTICAL = pose_from_numbers([0.01, 0.02, 0.0, -0.5, 0.5, -0.5, 0.5])
OFFSETS = np.deg2rad([1.0, -2.0, 0.5, 3.0, 0.0, -1.5])
READINGS = np.array([[0.1, -0.5, 0.9, 0.0, 0.3, 0.0], [-0.6, -0.2, 0.4, 0.5, -0.4, 1.0]])


def keyframe(index, **values):
    given = {"residual": 0.1, "residual_before": 0.5, "agreement": 0.9, "weight": 1.0}
    given |= {"rejected": False, "reason": "", "camera": "camera", "stamp_s": float(index)}
    return KeyframeResult(index=index, **(given | values))


@pytest.fixture
def result(arm):
    covariance = np.diag([1e-6, 4e-6, 1e-6, 1e-6, 1e-6, 1e-6])
    return CalibrationResult(
        cameras={"camera": CameraResult(T, None, covariance, 0.01, 0.001)},
        joint_names=arm.joint_names,
        offsets=OFFSETS,
        offset_std=np.full(6, 0.001),
        covariance=np.eye(13),
        layout=None,  # type: ignore[arg-type]
        keyframes=(keyframe(0), keyframe(1, rejected=True, reason="blurred", residual=0.7)),
        at_limit=("joint_4",),
        unobservable=("joint_6 does not move any visible pixel",),
        verdict=Verdict.GOOD,
        reasons=(),
        stop_reason=StopReason.CONVERGED,
        iterations=12,
        solve_time_s=1.5,
    )


@pytest.fixture
def observations():
    image = np.full((120, 160, 3), 90, np.uint8)
    speed = np.array([0.5, 0, 0, 0, 0, 0])
    return [
        Observation(image, CAMERA, float(i), q, joint_velocities=speed)
        for i, q in enumerate(READINGS)
    ]


def test_files_hold_the_result(tmp_path, arm, arm_gaussians, models_root, result, observations):
    frames = {"camera": FrameNames("color_optical", "camera_link", LINK_TO_OPTICAL)}
    source = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    out = write_calibration(
        result,
        arm,
        arm_gaussians,
        observations,
        tmp_path,
        frames=frames,
        source=source,
        package_paths=[source.parent],
        names=["image_0.png", "image_1.png"],
    )
    assert not out.remarks
    assert all(file.exists() for file in out.files)
    values = yaml.safe_load((tmp_path / "calibration.yaml").read_text())
    assert values["verdict"] == "good"
    entry = values["cameras"]["camera"]
    optical, body = entry["transforms"]
    assert (optical["frame_id"], optical["child_frame_id"]) == (arm.base_link, "color_optical")
    np.testing.assert_allclose(optical["matrix"], T, atol=1e-9)
    numbers = [*optical["translation"].values(), *optical["rotation"].values()]
    np.testing.assert_allclose(pose_from_numbers(numbers), T, atol=1e-9)
    np.testing.assert_allclose(
        pose_from_numbers([*optical["translation"].values(), *optical["rpy"]]), T, atol=1e-9
    )
    # What the camera's driver publishes below its body brings us back to the optical frame.
    assert body["child_frame_id"] == "camera_link"
    np.testing.assert_allclose(np.array(body["matrix"]) @ LINK_TO_OPTICAL, T, atol=1e-9)
    assert values["joint_offsets"]["joint_2"] == pytest.approx(OFFSETS[1])
    alone = yaml.safe_load((tmp_path / "joint_offsets.yaml").read_text())
    assert list(alone) == list(arm.joint_names)
    np.testing.assert_allclose(list(alone.values()), OFFSETS, rtol=1e-6)
    assert entry["stddev"]["position_m"] == pytest.approx(0.002)
    assert entry["intrinsics"]["camera_matrix"][2] == pytest.approx(79.5)  # ROS counts from centres
    first, second = values["keyframes"]
    assert (first["name"], first["used"], second["used"]) == ("image_0.png", True, False)
    assert first["joint_positions"]["joint_3"] == READINGS[0, 2]
    # The corrected description makes the readings true.
    again = RobotModel.load(
        tmp_path / "six_axis_arm_calibrated.urdf", package_paths=[source.parent]
    )
    q = torch.from_numpy(READINGS[0])
    wanted = arm.forward_kinematics(q + torch.from_numpy(OFFSETS))
    np.testing.assert_allclose(again.forward_kinematics(q), wanted, atol=1e-8)
    words = "\n".join(out.lines)
    assert "verdict: GOOD" in words and "left out: blurred" in words
    assert "joint_4   +3.000 ± 0.057 deg  at the limit" in words
    assert "not seen: joint_6 does not move any visible pixel" in words
    overlay = np.asarray(Image.open(tmp_path / "overlays" / "image_0.png")).astype(int)
    assert (np.abs(overlay - 90).max(axis=2) > 20).mean() > 0.01  # the robot is drawn


def test_an_only_camera_without_a_name_gets_one(tmp_path, arm, arm_gaussians, result, observations):
    nameless = dataclasses.replace(
        result,
        cameras={"": result.cameras["camera"]},
        keyframes=tuple(dataclasses.replace(k, camera="") for k in result.keyframes),
    )
    write_calibration(nameless, arm, arm_gaussians, observations, tmp_path)
    values = yaml.safe_load((tmp_path / "calibration.yaml").read_text())
    assert list(values["cameras"]) == ["camera"]
    assert values["cameras"]["camera"]["transforms"][0]["child_frame_id"] == "camera_optical_frame"
    assert [k["camera"] for k in values["keyframes"]] == ["camera", "camera"]


def launched(text):
    node = ElementTree.fromstring(text).find("node")
    words = shlex.split(node.attrib["args"])
    values = dict(zip(words[::2], words[1::2], strict=True))
    numbers = [float(values[f"--{n}"]) for n in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    return values["--frame-id"], values["--child-frame-id"], pose_from_numbers(numbers)


def test_launch_file_publishes_the_frame_that_has_no_parent_yet():
    known = CameraFrames("base", FrameNames("optical", "camera_link", LINK_TO_OPTICAL), T)
    parent, child, found = launched(launch_file([known]))
    assert (parent, child) == ("base", "camera_link")
    np.testing.assert_allclose(found @ LINK_TO_OPTICAL, T, atol=1e-7)
    parent, child, found = launched(launch_file([CameraFrames("tool0", FrameNames("optical"), T)]))
    assert (parent, child) == ("tool0", "optical")
    np.testing.assert_allclose(found, T, atol=1e-7)


def test_a_failed_calibration_leaves_nothing_to_launch(
    tmp_path, arm, arm_gaussians, models_root, result, observations
):
    failed = dataclasses.replace(result, verdict=Verdict.FAILED, reasons=("nothing fits",))
    source = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    out = write_calibration(failed, arm, arm_gaussians, observations, tmp_path, source=source)
    left = {p.name for p in tmp_path.iterdir()}
    assert {"calibration.yaml", "keyframes.png", "residuals.png"} <= left
    assert not [name for name in left if name.endswith((".urdf", ".xml"))]
    assert out.lines[-2:] == ("verdict: FAILED", "  nothing fits")


def test_description_that_cannot_be_written_is_said(
    tmp_path, arm, arm_gaussians, result, observations
):
    other = "<robot name='r'><link name='base'/></robot>"
    out = write_calibration(result, arm, arm_gaussians, observations, tmp_path, source=other)
    assert "joint 'joint_1' is not in the description" in out.remarks[0]
    assert (tmp_path / "camera_tf.launch.xml").exists()


def test_joint_that_a_turn_of_the_camera_undoes(arm, menagerie_root):
    assert camera_like_joint(arm) == "joint_1"
    assert camera_like_joint(arm, arm.link_names[-1]) == arm.joint_names[-1]
    assert camera_like_joint(arm, arm.base_link) is None
    hand = RobotModel.load(menagerie_root / "shadow_hand" / "right_hand.xml")
    assert camera_like_joint(hand) in (None, "rh_WRJ2")  # fingers each have a joint of their own
    # Turning it and the camera alike leaves every moving link where it was in the image.
    q = torch.from_numpy(READINGS[0])
    turned = q + torch.tensor([0.3, 0, 0, 0, 0, 0], dtype=torch.float64)
    first, second = (arm.forward_kinematics(x).numpy() for x in (q, turned))
    move = second[1] @ np.linalg.inv(first[1])
    seen = np.linalg.inv(T) @ first[1:]
    np.testing.assert_allclose(np.linalg.inv(move @ T) @ second[1:], seen, atol=1e-12)


def test_camera_on_a_link_and_lag(arm, result, observations):
    camera = dataclasses.replace(result.cameras["camera"], link=arm.link_names[-1])
    view = views_of(arm, dataclasses.replace(result, cameras={"camera": camera}), observations)[0]
    q = READINGS[0] + OFFSETS + 0.01 * np.array([0.5, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(view.q, q, atol=1e-12)
    flange = arm.forward_kinematics(torch.from_numpy(q))[-1].numpy()
    np.testing.assert_allclose(view.T_base_camera, flange @ T, atol=1e-12)
