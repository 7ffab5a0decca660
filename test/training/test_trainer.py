"""Training: it improves, resumes bit by bit, and refuses what does not fit."""

import csv
import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.rendering import render_robot
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.splats.deformation import penalty
from drrobot_ros.training import dataset_files
from drrobot_ros.training.config import PRESETS, TrainConfig, preset
from drrobot_ros.training.loading import self_model_of
from drrobot_ros.training.losses import LossConfig
from drrobot_ros.training.produce import produce, quick_scores
from drrobot_ros.training.self_model import PARAMETERS, SelfModel
from drrobot_ros.training.trainer import train

TINY = TrainConfig(
    count=300, steps=40, density_every=10, validate_every=20, checkpoint_every=10, growth=0.3
)
TENSORS = ("means", "quats", "scales", "opacities", "colors", "sh", "normals", "light")


def same(a, b):
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in (*TENSORS, "link_index"))


def test_training_improves_unseen_poses_and_loses_no_link(arm, dataset):
    start = GaussianRobot.from_model(arm, TINY.count)
    before = quick_scores(SelfModel(start), dataset)
    result = train(arm, dataset, TINY, progress=False)
    after = quick_scores(result.self_model, dataset)
    assert after["psnr"] > before["psnr"] + 1.5
    assert after["iou"] > before["iou"] - 0.005
    assert set(result.gaussians.link_index.tolist()) == set(start.link_index.tolist())
    assert result.gaussians.inset_px == start.inset_px and len(result.gaussians) > len(start)


def test_what_is_saved_renders_what_was_trained(arm, dataset, tmp_path):
    result = train(arm, dataset, TINY, progress=False)
    result.gaussians.save(tmp_path / "arm.npz")
    loaded = GaussianRobot.load(tmp_path / "arm.npz")
    assert same(loaded, result.gaussians)
    view = dataset.view(0)
    model = result.self_model
    with torch.no_grad():
        T = torch.from_numpy(view.T_base_camera).float()
        ours, alpha, _ = model.render(
            model.pose(torch.from_numpy(view.T_base_link)), T, dataset.camera
        )
        theirs, cover, _ = render_robot(arm, loaded, view.q, view.T_base_camera, dataset.camera)
    assert (ours - theirs).abs().mean() < 2e-4 and (alpha - cover).abs().mean() < 2e-4


def test_stopped_and_resumed_is_the_same_bit_by_bit(arm, dataset, tmp_path):
    whole = train(arm, dataset, TINY, folder=tmp_path / "whole", progress=False)
    for until in (7, 20, 25, None):  # also between two checkpoints and two changes of density
        parts = train(arm, dataset, TINY, folder=tmp_path / "parts", until=until, progress=False)
    assert parts.steps == TINY.steps and same(whole.gaussians, parts.gaussians)
    read = []
    for name in ("whole", "parts"):
        rows = csv.DictReader((tmp_path / name / "curves.csv").read_text().splitlines())
        read.append([(r["step"], r["loss"], r["psnr"]) for r in rows])
    assert read[0] == read[1] and [r[0] for r in read[0]] == ["20", "40"]


def test_another_seed_is_another_result(arm, dataset):
    a, b = (
        train(arm, dataset, dataclasses.replace(TINY, seed=s, steps=5), progress=False).gaussians
        for s in (0, 1)
    )
    assert not same(a, b)


def test_checkpoints_of_others_are_refused(arm, dataset, tmp_path):
    train(arm, dataset, TINY, folder=tmp_path, until=10, progress=False)
    with pytest.raises(InputError, match="another settings"):
        train(arm, dataset, dataclasses.replace(TINY, steps=41), folder=tmp_path, progress=False)
    with pytest.raises(InputError, match="another losses"):
        train(arm, dataset, TINY, LossConfig(l1=0.5), folder=tmp_path, progress=False)
    path = tmp_path / "checkpoint.npz"
    content = dict(np.load(path))
    identity = str(content["identity"]).replace('"robot": "', '"robot": "other_')
    np.savez(path, **{**content, "identity": np.array(identity)})
    with pytest.raises(InputError, match="another robot: 'other_"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)
    np.savez(path, **{**content, "version": np.array(7)})
    with pytest.raises(InputError, match="of version 1: drrobot_checkpoint 7"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)
    np.savez(path, **{k: v for k, v in content.items() if k != "state/value/means"})
    with pytest.raises(InputError, match="damaged"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="is not a checkpoint"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)
    np.savez(path, format=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="is not a checkpoint"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)


def test_a_full_disk_leaves_the_last_checkpoint(arm, dataset, tmp_path, monkeypatch):
    whole = train(arm, dataset, TINY, progress=False)
    train(arm, dataset, TINY, folder=tmp_path, until=10, progress=False)
    before = (tmp_path / "checkpoint.npz").read_bytes()

    def full(path, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset_files.np, "savez_compressed", full)
    with pytest.raises(DrRobotError, match="No space left"):
        train(arm, dataset, TINY, folder=tmp_path, progress=False)
    monkeypatch.undo()
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    resumed = train(arm, dataset, TINY, folder=tmp_path, progress=False)
    assert same(whole.gaussians, resumed.gaussians)


def test_parts_can_be_switched_off(arm, dataset):
    short = dataclasses.replace(TINY, steps=3)
    plain = train(
        arm, dataset, dataclasses.replace(short, light=False, sh=False), progress=False
    ).gaussians
    assert plain.light is None and plain.sh is None
    every = LossConfig(ssim=0.2, depth=0.1)
    assert train(arm, dataset, short, every, progress=False).gaussians.sh is not None


def test_the_penalty_holds_the_deformation_near_nothing(arm, dataset):
    settings = dataclasses.replace(
        TINY, deformation=True, deformation_from=0.0, rate_networks=0.01, steps=30
    )
    sizes = []
    for weight in (0.0, 10.0):
        loss = LossConfig(deformation=weight)
        model = train(arm, dataset, settings, loss, progress=False).self_model
        q = dataset.view(0).q
        T = arm.forward_kinematics(torch.as_tensor(q)).float()
        posed = model.pose(T, torch.as_tensor(q).float())
        sizes.append(float(penalty(posed.change).detach()))
    assert sizes[1] < 0.3 * sizes[0]


def test_device_and_preset_are_checked(arm, dataset):
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="valid here: cpu"):
            train(arm, dataset, TINY, device="cuda")
    with pytest.raises(InputError, match="unknown preset 'best'; valid: default"):
        preset("best")
    assert {"default", "full", "paper"} <= set(PRESETS)


def test_a_product_says_how_it_was_made(arm, dataset, tmp_path):
    short = dataclasses.replace(TINY, steps=5)
    product = produce(
        arm,
        tmp_path,
        short,
        data=dataset.config,
        data_folder=dataset.folder,
        command="drrobot train arm",
        progress=False,
    )
    about = GaussianRobot.load(product.path).about
    assert about["command"] == "drrobot train arm" and about["train"]["steps"] == 5
    assert about["scores"]["psnr"] == product.scores["psnr"]
    assert (tmp_path / "comparison.png").stat().st_size > 1000


def test_gradients_reach_every_parameter(arm, dataset):
    model = SelfModel(GaussianRobot.from_model(arm, 300))
    view = dataset.view(0)
    T = torch.from_numpy(view.T_base_camera).float()
    posed = model.pose(torch.from_numpy(view.T_base_link))
    rgb, _, _ = model.render(posed, T, dataset.camera, torch.ones(3))
    (rgb - 0.5).square().sum().backward()
    for name in (*PARAMETERS, "light"):
        gradient = getattr(model, name).grad
        if name == "normals":  # a neutral light shines the same on all sides
            continue
        assert gradient is not None and float(gradient.abs().sum()) > 0, name


def test_networks_too_resume_bit_by_bit_and_come_back_from_the_file(arm, dataset, tmp_path):
    config = dataclasses.replace(
        TINY, steps=12, skinning="implicit", deformation=True, deformation_from=0.3
    )
    whole = train(arm, dataset, config, progress=False)
    for until in (5, None):
        parts = train(arm, dataset, config, folder=tmp_path, until=until, progress=False)
    assert same(whole.gaussians, parts.gaussians)
    ours, theirs = whole.self_model.state_dict(), parts.self_model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert any(bool(p.any()) for p in whole.self_model.deformation.parameters())
    parts.gaussians.save(tmp_path / "arm.npz")
    loaded = self_model_of(GaussianRobot.load(tmp_path / "arm.npz"))
    assert quick_scores(loaded, dataset) == quick_scores(whole.self_model, dataset)
