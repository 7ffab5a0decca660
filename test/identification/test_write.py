"""Corrected descriptions: they load elsewhere, and all that was not identified is as before."""

import dataclasses
import re

import mujoco
import numpy as np
import pinocchio
import pytest
import torch
from two_rods import ROD, TURNED, simulated

from drrobot_ros.cli import main
from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.identification import IdentificationConfig, identify, write_csv
from drrobot_ros.identification.write import write_description
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.xml_edit import XmlText

MJCF = """
<mujoco model="rods">
  <!-- kept -->
  <compiler angle="degree"/>
  <default><joint damping="0.1"/></default>
  <worldbody>
    <body name="base"><body name="upper" pos="0 0 1">
      <joint name="shoulder" axis="1 0 0" range="-110 110"/>
      <inertial pos="0 0 -0.2" quat="1 0.1 0 0" mass="2" diaginertia="0.03 0.03 0.01"/>
      <body name="lower" pos="0 0 -0.4">
        <joint name="elbow" axis="0 1 0" range="-80 80" ref="10" armature="0.02"/>
        <geom name="rod" type="capsule" size="0.03 0.15" pos="0 0.01 -0.15" mass="1"/>
      </body>
    </body></body>
  </worldbody>
</mujoco>
"""


def test_edits_leave_the_rest():
    text = "<a>\n  <!-- b='1' > -->\n  <b x='1>2'  y=\"2\"/>\n  <c/>\n</a>\n"
    xml = XmlText(text, "text")
    b, c = xml.root.children
    xml.set(b, {"y": '3 "', "z": "4"})
    xml.set_child(c, "d", {"e": "5"})
    wanted = text.replace('y="2"/>', 'y=\'3 "\' z="4"/>')
    wanted = wanted.replace("<c/>", '<c>\n    <d e="5"/>\n  </c>')
    assert xml.text() == wanted
    with pytest.raises(ModelError, match="text is no XML"):
        XmlText("<a>", "text")


@pytest.fixture(scope="module")
def offset_result(rods):
    recording = simulated(rods)
    shifted = dataclasses.replace(recording, q=recording.q - np.array([0.04, -0.03]))
    config = IdentificationConfig(joint_offsets=True)
    return identify(RobotModel.load(TURNED), shifted, config)


def test_urdf_loads_in_pinocchio(tmp_path, rods, offset_result):
    target, remarks = write_description(offset_result, TURNED, tmp_path)
    assert not remarks or "armature" in remarks[0]
    text = target.read_text()
    assert "<!-- a comment to keep -->" in text and "type='revolute'" in text
    numbers = r"[-+0-9.e ]+"
    structure = [re.sub(numbers, "", t) for t in (text, TURNED)]
    assert structure[0].count("<link") == structure[1].count("<link") == 3
    model = pinocchio.buildModelFromUrdf(str(target))
    data = model.createData()
    q, v = np.array([0.3, -0.5]), np.array([0.4, 0.2])
    a = np.array([1.0, -2.0])
    found = pinocchio.rnea(model, data, q, v, a)
    again = RobotModel.load(target)
    ours = again.inverse_dynamics(*(torch.from_numpy(x) for x in (q, v, a)), resistance=False)
    np.testing.assert_allclose(found, ours.numpy(), atol=1e-9)
    # A joint's zero moves with its origin: the elbow is where the shoulder's offset puts it.
    shoulder = offset_result.offsets[0]
    moved = again.forward_kinematics(torch.tensor([0.0, 0.0], dtype=torch.float64))
    wanted = rods.forward_kinematics(torch.tensor([shoulder, 0.0], dtype=torch.float64))
    np.testing.assert_allclose(moved[1], wanted[1], atol=1e-9)


def test_mjcf_loads_in_mujoco(tmp_path):
    model = RobotModel.load(MJCF)
    found = identify(model, simulated(model), IdentificationConfig(joint_offsets=True))
    found = dataclasses.replace(found, offsets=np.array([0.1, -0.2]))
    target, _ = write_description(found, MJCF, tmp_path)
    text = target.read_text()
    assert "<!-- kept -->" in text and 'name="rod" type="capsule"' in text
    m = mujoco.MjModel.from_xml_path(str(target))
    body = m.body("lower").id
    assert m.body_mass[body] == pytest.approx(found.tree.mass[-1], rel=1e-6)
    assert m.jnt_range[0, 1] == pytest.approx(np.deg2rad(110))
    assert m.qpos0[1] == pytest.approx(np.deg2rad(10) + 0.2)
    assert m.dof_armature[1] == pytest.approx(found.tree.armature[-1], abs=1e-9)


def test_files_are_found_from_another_folder(tmp_path, robot, models_root):
    model = robot("six_axis_arm")
    source = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    found = identify(model, simulated(model))
    target, _ = write_description(found, source, tmp_path / "elsewhere")
    assert len(RobotModel.load(target, package_paths=[source.parent]).visuals) == len(model.visuals)


def test_menagerie_robot(tmp_path, menagerie_root):
    source = menagerie_root / "universal_robots_ur5e" / "ur5e.xml"
    model = RobotModel.load(source)
    found = identify(model, simulated(model))
    target, _ = write_description(found, source, tmp_path)
    assert mujoco.MjModel.from_xml_path(str(target)).nmesh == model.mj_model.nmesh


def test_settings_that_override_are_told(tmp_path):
    text = MJCF.replace('angle="degree"', 'settotalmass="50"')
    model = RobotModel.load(text)
    found = identify(model, simulated(RobotModel.load(MJCF)))
    with pytest.raises(ModelError, match="settotalmass"):
        write_description(found, text, tmp_path)


def test_command(tmp_path, rods, capsys):
    (tmp_path / "rods.urdf").write_text(TURNED)
    robot = ["--robot", str(tmp_path / "rods.urdf")]
    excitation = str(tmp_path / "e.csv")
    fast = ["--excitation-tries", "2", "--excitation-period-s", "2"]
    assert main(["identify", "--excitation", excitation, *robot, *fast]) == 0
    write_csv(tmp_path / "r.csv", simulated(rods))
    out = tmp_path / "out"
    assert main(["identify", str(tmp_path / "r.csv"), *robot, "--output", str(out)]) == 0
    report = (out / "report.md").read_text()
    assert "Verdict: **good**" in report and "mass of lower" in report
    names = {"report.md", "parameters.csv", "torques.png", "parameters.png"}
    assert names | {"two_rods_identified.urdf"} == {p.name for p in out.iterdir()}
    rows = (out / "parameters.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 10 + 2 * 3
    capsys.readouterr()
    assert main(["identify", excitation, *robot, "--output", str(out)]) == 2
    assert "no torques" in capsys.readouterr().err
    assert main(["identify", excitation, *robot, "--held", "elbow"]) == 2
    assert "--held takes name=value, got 'elbow'" in capsys.readouterr().err
    assert main(["identify", *robot]) == 2


def test_unnamed_parts_are_told(tmp_path, recording):
    found = identify(RobotModel.load(TURNED), recording)
    with pytest.raises(InputError, match="link 'lower' is not in the description"):
        write_description(found, ROD.replace('"lower"', '"fore"'), tmp_path)
