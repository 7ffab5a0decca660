"""What roboreg is given: the same robot; and what is said where it is not installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from drrobot_ros.robot import RobotModel

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_its_robot_is_ours(tmp_path, robot, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from photos_roboreg.prepare import write_urdf

    model = robot("six_axis_arm")
    write_urdf(model, tmp_path)
    again = RobotModel.load(tmp_path / "robot.urdf")
    q = model.random_configuration(5, 0)
    rows = [again.link_index(name) for name in model.link_names]
    found = again.forward_kinematics(q)[:, rows]
    np.testing.assert_allclose(found, model.forward_kinematics(q), atol=1e-9)
    ends = json.loads((tmp_path / "links.json").read_text())
    assert ends["root"] == model.base_link
    for i, name in enumerate(model.link_names):
        ours = [v.vertices for v in model.visuals if v.link == i]
        theirs = [v.vertices for v in again.visuals if again.link_names[v.link] == name]
        for a, b in zip(_box(ours), _box(theirs), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def _box(parts):
    if not parts:
        return []
    every = np.concatenate(parts)
    return [every.min(axis=0), every.max(axis=0)]


def test_without_its_environment_it_is_said(tmp_path, robot, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from photos_roboreg import compare

    monkeypatch.setattr(compare, "ENVIRONMENT", tmp_path)
    with pytest.raises(compare.MissingError, match="make roboreg"):
        compare.run_hydra(robot("six_axis_arm"), tmp_path)
