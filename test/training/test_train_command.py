"""drrobot train: from a description to a file, and what it says of input it cannot use."""

import json

import numpy as np
import pytest
import torch
from small_views import SMALL

from drrobot_ros.cli import main
from drrobot_ros.errors import ModelError
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.visuals import Visual
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.dataset_plan import make_plan

VIEWS = [
    *("--data-poses", "3", "--data-canonical-views", "2", "--data-validation-poses", "1"),
    *("--data-test-poses", "1", "--data-width", "48", "--data-height", "48"),
    *("--data-surface-points", "500"),
]


def command(models_root, folder, *more):
    arm = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    return ["train", str(arm), "--preset", "quick", "--out", str(folder), *VIEWS, *more]


def test_trains_and_resumes(models_root, tmp_path, dataset, capsys):
    assert main(command(models_root, tmp_path, "--count", "150", "--steps", "6")) == 0
    said = capsys.readouterr().out
    scores = json.loads(said[: said.rindex("}") + 1])
    assert scores["psnr"] > 10 and scores["gaussians"] == 150
    trained = GaussianRobot.load(tmp_path / "self_model.npz")
    assert trained.about["train"]["steps"] == 6 and trained.light is not None
    assert trained.about["views"]["width"] == 48
    # Nothing is left to do: the same file again, from the checkpoint.
    assert main(command(models_root, tmp_path, "--count", "150", "--steps", "6")) == 0
    again = GaussianRobot.load(tmp_path / "self_model.npz")
    assert torch.equal(trained.means, again.means)


def test_bad_input_is_said(models_root, tmp_path, dataset, capsys):
    assert main(command(models_root, tmp_path, "--count", "150", "--steps", "2")) == 0
    assert main(command(models_root, tmp_path, "--count", "150", "--steps", "3")) == 2
    assert "another settings" in capsys.readouterr().err
    assert main(command(models_root, tmp_path, "--data-poses", "4")) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert main(["train", "no_such_robot", "--out", str(tmp_path / "x")]) == 2
    assert "no robot 'no_such_robot'" in capsys.readouterr().err
    assert main(command(models_root, tmp_path, "--steps", "0")) == 2
    assert "TrainConfig.steps is 0" in capsys.readouterr().err


def test_meshes_without_area_are_refused(models_root):
    model = RobotModel.load(models_root / "six_axis_arm" / "six_axis_arm.urdf")
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    flat = Visual(1, line, np.array([[0, 1, 2], [0, 0, 1]]), np.ones(4))
    model.__dict__["visuals"] = [flat]
    with pytest.raises(ModelError, match="no visual surface"):
        GaussianRobot.from_model(model, 50)
    with pytest.raises(ModelError, match="no visual surface"):
        make_plan(model, SMALL)
