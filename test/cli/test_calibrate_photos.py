"""The command ``drrobot calibrate`` on real photos, where they are there."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from drrobot_ros.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photos():
    named = os.environ.get("DRROBOT_PHOTOS")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "xarm7_realsense"
    if not folder.is_dir():
        pytest.skip("no real photos: set DRROBOT_PHOTOS to the folder xarm7_realsense")
    return folder


@pytest.mark.slow
def test_camera_of_real_photos_without_a_start(photos, menagerie_root, tmp_path, capsys):
    robot = menagerie_root / "ufactory_xarm7" / "xarm7_nohand.xml"
    words = ["calibrate", str(photos), "--robot", str(robot), "--base-link", "link_base"]
    words += ["--solve", "camera", "--fine-width", "320", "--output", str(tmp_path)]
    status = main(words)
    said = capsys.readouterr().out
    assert status == 0, said
    assert "10 images, 10 with depth, 10 with masks" in said
    values = yaml.safe_load((tmp_path / "calibration.yaml").read_text())
    entry = values["cameras"]["camera"]["transforms"][0]
    assert entry["child_frame_id"] == "camera_color_optical_frame"
    found = np.array(entry["matrix"])
    wanted = np.loadtxt(photos / "T_base_camera_hydra.csv", delimiter=",")
    assert np.linalg.norm(found[:3, 3] - wanted[:3, 3]) < 0.02
    cosine = (np.trace(found[:3, :3].T @ wanted[:3, :3]) - 1) / 2
    assert np.rad2deg(np.arccos(cosine)) < 1.0
