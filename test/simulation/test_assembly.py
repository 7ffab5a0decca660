"""An arm and a tool from two URDF files."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation.assembly import mount

TOOL = """<robot name="t"><material name="red"><color rgba="1 0 0 1"/></material>
<link name="base_link"><visual><geometry><box size="0.1 0.1 0.1"/></geometry>
<material name="red"/></visual></link>
<link name="finger"/><link name="thumb"/>
<joint name="grip" type="prismatic"><parent link="base_link"/><child link="finger"/>
<axis xyz="1 0 0"/><limit lower="0" upper="0.1" effort="1" velocity="1"/></joint>
<joint name="follow" type="prismatic"><parent link="base_link"/><child link="thumb"/>
<axis xyz="1 0 0"/><mimic joint="grip" multiplier="-1"/>
<limit lower="-0.1" upper="0.1" effort="1" velocity="1"/></joint></robot>"""


@pytest.fixture
def files(models_root, tmp_path):
    tool = tmp_path / "tool.urdf"
    tool.write_text(TOOL)
    return models_root / "six_axis_arm" / "six_axis_arm.urdf", tool


def test_tool_moves_with_the_arm(files, robot, models_root):
    arm, tool = files
    alone = robot("six_axis_arm")
    link = alone.link_names[-1]
    text = mount(arm, tool, link, xyz=(0, 0, 0.2), rpy=(0, 0, np.pi / 2))
    model = RobotModel.load(text, package_paths=[models_root])
    assert model.joint_names == (*alone.joint_names, "tool_grip")
    assert len(model.visuals) == len(alone.visuals) + 1
    q = model.neutral()
    q[0], q[-1] = 0.4, 0.03
    T = model.forward_kinematics(q)
    hand, finger, thumb = (T[model.link_index(n)] for n in (link, "tool_finger", "tool_thumb"))
    local = hand.inverse() @ finger
    np.testing.assert_allclose(local[:3, 3], [0, 0.03, 0.2], atol=1e-9)
    local = hand.inverse() @ thumb
    np.testing.assert_allclose(local[:3, 3], [0, -0.03, 0.2], atol=1e-9)


def test_errors_name_the_choices(files, tmp_path):
    arm, tool = files
    with pytest.raises(InputError, match=r"unknown link 'elbwo'; valid: .*base_link"):
        mount(arm, tool, "elbwo")
    with pytest.raises(InputError, match="prefix '' leaves names twice: red, base_link"):
        mount(arm, tool, "base_link", prefix="")
    with pytest.raises(ModelError, match=r"cannot read the URDF .*none\.urdf"):
        mount(arm, tmp_path / "none.urdf", "base_link")
