"""Datasets: what is in them, resuming, and files that cannot be used."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from small_views import SMALL

from drrobot_ros.errors import BackendError, DrRobotError, InputError, ModelError
from drrobot_ros.robot import RobotModel
from drrobot_ros.training import dataset_files, dataset_render
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.dataset_config import DatasetConfig, dataset_preset
from drrobot_ros.training.dataset_plan import make_plan, random_poses
from drrobot_ros.training.dataset_render import render_dataset


def test_splits_are_by_pose(dataset):
    poses = {s: set(dataset.pose_index[dataset.views(s)]) for s in ("train", "validation", "test")}
    assert len(poses["train"]) == 1 + SMALL.poses  # and the neutral one
    assert len(poses["test"]) == SMALL.test_poses
    assert not poses["train"] & poses["test"] and not poses["train"] & poses["validation"]
    assert len(dataset) == 4 + 2 * (6 + 1 + 2)
    with pytest.raises(InputError, match="unknown split 'all'; valid: train, validation, test"):
        dataset.views("all")


def test_poses_are_within_limits_and_do_not_touch(arm, dataset):
    assert (dataset.q >= arm.lower - 1e-9).all() and (dataset.q <= arm.upper + 1e-9).all()
    T = arm.forward_kinematics(torch.from_numpy(dataset.q)).numpy()
    assert np.allclose(T, dataset.T_base_link, atol=1e-6)


def test_self_collisions_are_left_out(arm, monkeypatch):
    class Check:
        def __init__(self, model):
            pass

        def contacts(self, q):
            # Two links that always touch by their shapes, and two that do where joint 0 is > 0.
            return [("a", "b")] + ([("c", "d")] if q[0] > 0 else [])

    monkeypatch.setattr("drrobot_ros.simulation.CollisionCheck", Check)
    assert (random_poses(arm, 20, SMALL)[:, 0] <= 0).all()
    allowed = dataclasses.replace(SMALL, avoid_collisions=False)
    assert (random_poses(arm, 20, allowed)[:, 0] > 0).any()
    monkeypatch.setattr(Check, "contacts", lambda self, q: [("a", str(q[0]))])
    with pytest.raises(ModelError, match="touches itself"):
        random_poses(arm, 5, SMALL)


def test_a_view_agrees_with_depth_mask_and_surface(arm, dataset):
    number = int(dataset.views("test")[0])
    view = dataset.view(number)
    assert view.rgb.shape == (64, 64, 3) and view.mask.any() and not view.mask.all()
    x0, y0, x1, y1 = view.box
    outside = np.ones((64, 64), bool)
    outside[y0:y1, x0:x1] = False
    assert not view.mask[outside].any() and (view.rgb[outside] == 255).all()
    assert ((view.depth_m > 0) == view.mask).all()
    # Every pixel of the robot, taken back into space, lies on the surface points.
    rows, columns = np.nonzero(view.mask)
    pixels = torch.tensor(np.stack([columns, rows], 1) + 0.5)
    seen = dataset.camera.unproject(pixels, torch.from_numpy(view.depth_m[rows, columns]).double())
    seen = seen.numpy() @ view.T_base_camera[:3, :3].T + view.T_base_camera[:3, 3]
    cloud = dataset.point_cloud(view.pose)
    distance = np.linalg.norm(seen[:, None] - cloud[None], axis=2).min(axis=1)
    assert np.median(distance) < 0.02 and np.percentile(distance, 95) < 0.05


def test_rendering_goes_on_where_it_stopped(arm, dataset, tmp_path, monkeypatch):
    folder = tmp_path / "views"
    shutil.copytree(dataset.folder, folder)
    (folder / "dataset.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        RobotDataset.load(folder)
    first = folder / "views_00000.npz"
    first.write_bytes(first.read_bytes()[:1000])  # as a kill in the middle of a copy leaves it
    rendered = []
    one = dataset_render._render
    monkeypatch.setattr(dataset_render, "_render", lambda *a: rendered.append(a[2]) or one(*a))
    again = render_dataset(arm, folder, SMALL, progress=False)
    assert rendered == list(np.flatnonzero(dataset.shard_of == 0))
    for i in range(len(dataset)):
        assert np.array_equal(again.view(i).rgb, dataset.view(i).rgb)
        assert np.array_equal(again.view(i).depth_m, dataset.view(i).depth_m)


def test_a_full_disk_is_said_and_leaves_nothing_half_written(arm, dataset, tmp_path, monkeypatch):
    folder = tmp_path / "views"

    def full(path, **arrays):
        path = str(path)
        if "views_" in path:
            with open(path, "wb") as file:
                file.write(b"half")
            raise OSError(28, "No space left on device")
        return save(path, **arrays)

    save = np.savez_compressed
    monkeypatch.setattr(dataset_files.np, "savez_compressed", full)
    with pytest.raises(DrRobotError, match="No space left on device; free some room and resume"):
        render_dataset(arm, folder, SMALL, progress=False)
    assert sorted(p.name for p in folder.iterdir()) == ["plan.npz"]
    monkeypatch.undo()
    assert len(render_dataset(arm, folder, SMALL, progress=False)) == len(dataset)


def test_another_robot_or_other_settings_are_refused(arm, robot, dataset):
    other = dataclasses.replace(SMALL, poses=7)
    with pytest.raises(InputError, match="another robot or with other settings"):
        render_dataset(arm, dataset.folder, other, progress=False)
    with pytest.raises(InputError, match="another robot or with other settings"):
        render_dataset(robot("every_joint.xml"), dataset.folder, SMALL, progress=False)
    with pytest.raises(InputError, match="render one for this robot"):
        dataset.check_matches(robot("every_joint.xml"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pickle"}, "is not a drrobot_dataset"),
        ({"version": 9}, "is not a drrobot_dataset of version 1"),
        ({"config": {"poses": 6, "wheels": 4}}, "damaged"),
        ({"config": {"poses": -1}}, "poses is -1; valid"),
    ],
)
def test_a_damaged_index_is_named(dataset, tmp_path, change, message):
    folder = tmp_path / "views"
    shutil.copytree(dataset.folder, folder)
    index = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(InputError, match=message):
        RobotDataset.load(folder)
    (folder / "dataset.json").write_text("not json")
    with pytest.raises(InputError, match="cannot read"):
        RobotDataset.load(folder)


def test_a_hostile_shard_is_not_executed(dataset, tmp_path):
    folder = tmp_path / "views"
    shutil.copytree(dataset.folder, folder)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    np.savez(folder / "views_00000.npz", boxes=np.array([Evil()], dtype=object))
    with pytest.raises(InputError, match="is not a shard of a dataset"):
        RobotDataset.load(folder).view(0)
    assert not (tmp_path / "owned").exists()


def test_random_lights_and_backgrounds(arm, tmp_path):
    config = dataclasses.replace(SMALL, randomize=True, poses=16, canonical_views=0)
    try:
        views = render_dataset(arm, tmp_path, config, progress=False)
    except BackendError as error:
        pytest.skip(str(error))
    assert len(set(views.scene)) > 1
    a, b = (views.view(int(np.flatnonzero(views.shard_of == s)[0])) for s in (0, 1))
    assert a.box == (0, 0, 64, 64) and not np.array_equal(a.rgb[0, 0], b.rgb[0, 0])


def test_a_robot_without_a_surface_is_refused():
    body = "<joint/><inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/>"
    bare = f"<mujoco><worldbody><body name='a'>{body}</body></worldbody></mujoco>"
    with pytest.raises(ModelError, match="no visual surface"):
        make_plan(RobotModel.from_mjcf(bare), SMALL)


def test_joints_without_limits_get_poses():
    free = (
        "<mujoco><worldbody><body name='a'><joint name='j' type='hinge' axis='0 0 1'/>"
        "<geom type='box' size='.1 .2 .3'/></body></worldbody></mujoco>"
    )
    plan = make_plan(RobotModel.from_mjcf(free), SMALL)
    assert np.isfinite(plan["q"]).all() and np.ptp(plan["q"]) > 1
    assert np.isfinite(plan["T_base_camera"]).all()


def test_settings_are_checked():
    with pytest.raises(InputError, match="unknown dataset preset 'huge'; valid: default"):
        dataset_preset("huge")
    with pytest.raises(InputError, match="is beyond farthest"):
        DatasetConfig(nearest=2.0)
