"""Files of Gaussians: written whole, checked when read."""

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.splats.files import SplatFileError


@pytest.fixture
def gaussians():
    n = 6
    quats = torch.nn.functional.normalize(torch.randn(n, 4), dim=1)
    return GaussianRobot(
        means=torch.randn(n, 3),
        quats=quats,
        scales=torch.rand(n, 3) + 0.1,
        opacities=torch.rand(n),
        colors=torch.rand(n, 3),
        normals=torch.nn.functional.normalize(torch.randn(n, 3), dim=1),
        link_index=torch.tensor([0, 1, 1, 2, 0, 2]),
        link_names=("base", "upper arm", "hand_ü"),
        robot_name="two joints",
    )


@pytest.fixture
def content(gaussians, tmp_path):
    path = tmp_path / "good.npz"
    gaussians.save(path)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_comes_back_the_same(gaussians, tmp_path):
    path = tmp_path / "new" / "robot.npz"
    gaussians.save(path)
    loaded = GaussianRobot.load(path)
    for name in ("means", "quats", "scales", "opacities", "colors", "normals", "link_index"):
        assert torch.equal(getattr(loaded, name), getattr(gaussians, name))
    assert loaded.link_names == gaussians.link_names
    assert loaded.robot_name == "two joints"
    assert [p.name for p in path.parent.iterdir()] == ["robot.npz"]


def test_other_ending_is_refused(gaussians, tmp_path):
    with pytest.raises(InputError, match=r"must end in \.npz"):
        gaussians.save(tmp_path / "robot.ply")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(SplatFileError, match="no file"):
        GaussianRobot.load(tmp_path / "none.npz")
    path = tmp_path / "text.npz"
    path.write_text("not an archive")
    with pytest.raises(SplatFileError, match="not a file of Gaussians"):
        GaussianRobot.load(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(SplatFileError, match="not a file of Gaussians"):
        GaussianRobot.load(path)
    np.savez(path, format=np.array("drrobot_gaussians"), version=np.array([{}], dtype=object))
    with pytest.raises(SplatFileError, match="not a file of Gaussians"):
        GaussianRobot.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": np.array(3)}, "version 3; this program reads versions 1 to 2"),
        ({"means": None}, "lacks means"),
        ({"means": np.full((6, 3), np.nan, np.float32)}, "means must be finite"),
        ({"quats": np.ones((6, 4), np.float32)}, "unit length"),
        ({"scales": np.ones((5, 3), np.float32)}, "scales must be"),
        ({"link_index": np.array([0, 1, 1, 2, 0, 3])}, "link_index 3"),
        ({"link_index": np.zeros(6)}, "whole numbers"),
        ({"colors": np.full((6, 3), "red")}, "robot.npz"),
    ],
)
def test_damaged_content_is_named(content, tmp_path, change, message):
    path = tmp_path / "robot.npz"
    changed = {k: v for k, v in {**content, **change}.items() if v is not None}
    np.savez(path, **changed)
    with pytest.raises(SplatFileError, match=message):
        GaussianRobot.load(path)


def test_truncated_file(content, gaussians, tmp_path):
    path = tmp_path / "robot.npz"
    gaussians.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SplatFileError):
        GaussianRobot.load(path)
