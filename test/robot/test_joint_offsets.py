"""Offsets written into descriptions: the readings as they are give the pose the offsets say."""

import numpy as np
import pinocchio
import pytest
import torch

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.joint_offsets import write_joint_offsets

SLIDER = """
<robot name="slider">
  <link name="base"/><link name="cart"/><link name="pole"/><link name="left"/><link name="right"/>
  <joint name="rail" type="prismatic">
    <origin xyz="0 0 1" rpy="0.4 0 0"/><parent link="base"/><child link="cart"/>
    <axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/>
  </joint>
  <joint name="swing" type="revolute">
    <!-- a turned origin, a skew axis -->
    <origin rpy="0.5 -0.3 1.1"/><parent link="cart"/><child link="pole"/><axis xyz="1 1 0"/>
    <limit lower="-2" upper="2" effort="1" velocity="1"/>
  </joint>
  <joint name="finger" type="prismatic">  <!-- its axis is its own -->
    <origin xyz="0 0.1 0"/><parent link="pole"/><child link="left"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="0.1" effort="1" velocity="1"/>
  </joint>
  <joint name="other" type="prismatic">
    <origin xyz="0 -0.1 0"/><parent link="pole"/><child link="right"/><axis xyz="0 1 0"/>
    <limit lower="-0.1" upper="0" effort="1" velocity="1"/><mimic joint="finger" multiplier="-1"/>
  </joint>
</robot>
"""


def poses(model, q):
    return model.forward_kinematics(torch.as_tensor(q)).numpy()


def test_urdf_of_every_kind_of_joint(tmp_path):
    model = RobotModel.load(SLIDER)
    offsets = np.array([0.03, -0.2, 0.01])
    target = write_joint_offsets(model, offsets, SLIDER, tmp_path)
    assert target.name == "slider_calibrated.urdf"
    assert "<!-- a turned origin, a skew axis -->" in target.read_text()
    again = RobotModel.load(target)
    q = np.array([0.5, 0.7, 0.02])
    # The follower mirrors its leader, so it moves the other way.
    np.testing.assert_allclose(poses(again, q), poses(model, q + offsets), atol=1e-9)
    np.testing.assert_array_equal(again.lower, model.lower)


def test_six_axis_arm_as_pinocchio_reads_it(tmp_path, robot, models_root):
    source = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    model = robot("six_axis_arm")
    offsets = np.deg2rad([2.0, -1.5, 1.0, 3.0, -2.0, 0.5])
    target = write_joint_offsets(model, offsets, source, tmp_path / "elsewhere", [source.parent])
    theirs = pinocchio.buildModelFromUrdf(str(target))
    data = theirs.createData()
    q = np.array([0.3, -0.5, 0.8, 0.1, -1.0, 2.0])
    pinocchio.framesForwardKinematics(theirs, data, q)
    for i, name in enumerate(model.link_names):
        if not theirs.existFrame(name):
            continue
        found = data.oMf[theirs.getFrameId(name)].homogeneous
        np.testing.assert_allclose(found, poses(model, q + offsets)[i], atol=1e-8)
    again = RobotModel.load(target, package_paths=[source.parent])
    assert len(again.visuals) == len(model.visuals)  # its meshes are found from there


@pytest.mark.parametrize(
    "name", ["ufactory_xarm7/xarm7_nohand.xml", "universal_robots_ur5e/ur5e.xml"]
)
def test_menagerie_robots(tmp_path, menagerie_root, name):
    source = menagerie_root / name
    model = RobotModel.load(source)
    offsets = 0.02 * np.arange(1, model.nv + 1)
    again = RobotModel.load(write_joint_offsets(model, offsets, source, tmp_path))
    q = model.random_configuration(3, 1).numpy()
    np.testing.assert_allclose(poses(again, q), poses(model, q + offsets), atol=1e-8)
    assert len(again.visuals) == len(model.visuals)


def test_what_cannot_be_written(tmp_path):
    model = RobotModel.load(SLIDER)
    with pytest.raises(InputError, match=r"each of the 3 joints, got \[2\]"):
        write_joint_offsets(model, np.zeros(2), SLIDER, tmp_path)
    other = SLIDER.replace('"swing"', '"swung"')
    with pytest.raises(ModelError, match="joint 'swing' is not in the description itself"):
        write_joint_offsets(model, np.array([0.0, 0.1, 0.0]), other, tmp_path)
