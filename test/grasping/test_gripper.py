"""Grippers found in robot descriptions."""

import numpy as np
import pytest
from gantry import GAP_M, TIP_M, gantry_urdf

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.grasping.config import GripperConfig
from drrobot_ros.grasping.gripper import find_gripper, read_gripper_config
from drrobot_ros.robot import RobotModel


def test_gantry(gripper):
    assert gripper.palm == "palm" and gripper.joints == ("left_slide",)
    assert gripper.max_gap_m == pytest.approx(GAP_M, abs=1e-4)
    assert gripper.min_gap_m == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(gripper.T_palm_tool[:3, 3], [0, 0, TIP_M], atol=1e-3)
    np.testing.assert_allclose(np.abs(gripper.T_palm_tool[:3, :3]), np.eye(3), atol=1e-9)
    assert np.linalg.det(gripper.T_palm_tool[:3, :3]) == pytest.approx(1)
    assert gripper.pad_half_m == pytest.approx((0.01, 0.03), abs=1e-3)
    assert gripper.arm_joints == ("x", "y", "z", "yaw", "pitch", "roll")
    assert set(gripper.hand) == {"palm", "left", "right"}
    q = gripper.set(np.zeros(7), 0.03)
    assert q[6] == pytest.approx(0.015, abs=1e-6)
    assert gripper.gap_of(q) == pytest.approx(0.03, abs=1e-6)
    # One motor moves both fingers: it has to give what both pads press with.
    assert gripper.motor_forces(10.0)["left_slide"] == pytest.approx(20.0, rel=1e-3)


def test_two_independent_fingers():
    gripper = find_gripper(RobotModel.load(gantry_urdf("two")))
    assert set(gripper.joints) == {"left_slide", "right_slide"}
    assert gripper.max_gap_m == pytest.approx(GAP_M, abs=1e-4)
    assert gripper.motor_forces(10.0) == pytest.approx(
        {"left_slide": 10.0, "right_slide": 10.0}, rel=1e-3
    )


def test_boxes_hold_the_hand(gripper):
    low, high, finger = gripper.boxes_at(0.04)
    assert finger.sum() == 2 and len(low) == 3
    inner = np.sort(np.abs(np.stack([low[finger, 1], high[finger, 1]])), axis=0)[0]
    np.testing.assert_allclose(inner, 0.02, atol=1e-3)


def test_panda_hand(robot):
    gripper = find_gripper(robot("franka_emika_panda"))
    assert gripper.palm == "hand" and gripper.joints == ("finger_joint1",)
    assert gripper.max_gap_m == pytest.approx(0.08, abs=1e-3)
    # Franka's own tool centre point is 103.4 mm from the hand's frame.
    np.testing.assert_allclose(gripper.T_palm_tool[:3, 3], [0, 0, 0.1034], atol=1.5e-3)


def test_robotiq_on_ur5e():
    airo_models = pytest.importorskip("airo_models", reason="airo-models is not installed")
    from drrobot_ros.simulation.assembly import mount

    files = [airo_models.get_urdf_path(n) for n in ("ur5e", "robotiq_2f_85")]
    gripper = find_gripper(RobotModel.load(mount(*files, "tool0")))
    assert gripper.joints == ("tool_finger_joint",)
    assert gripper.max_gap_m == pytest.approx(0.085, abs=2e-3)
    assert gripper.open_q == (0.0,)
    # Its pads go forward as they close.
    assert gripper.depth_m(0.0) > 0.01 > gripper.depth_m(0.086)


def test_no_gripper(robot):
    with pytest.raises(ModelError, match="no parallel gripper"):
        find_gripper(robot("six_axis_arm"))
    with pytest.raises(ModelError, match="no parallel gripper"):
        find_gripper(RobotModel.load(gantry_urdf("none")))


def test_settings_override(tmp_path, gripper):
    file = tmp_path / "gripper.yaml"
    file.write_text("joints: [left_slide]\nmax_gap_m: 0.05\napproach_axis: [0, 0, 1]\n")
    found = find_gripper(gripper.model, read_gripper_config(file))
    assert found.max_gap_m == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(InputError, match="unknown joint 'thumb'; valid: x"):
        find_gripper(gripper.model, GripperConfig(joints=("thumb",)))
    file.write_text("joint: left_slide\n")
    with pytest.raises(InputError, match="unknown setting of a gripper 'joint'"):
        read_gripper_config(file)
    with pytest.raises(InputError, match="cannot read"):
        read_gripper_config(tmp_path / "none.yaml")
