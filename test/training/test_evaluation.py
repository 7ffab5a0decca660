"""Evaluation: exact where it must be, ordered as quality is, and clear about bad input."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from drrobot_ros import cli
from drrobot_ros.commands import evaluate as command
from drrobot_ros.errors import InputError
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.baselines import RetrievedImage
from drrobot_ros.training.comparison import (
    VARIANTS,
    some,
    trained_row,
    untrained_rows,
    variant_folder,
)
from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.evaluation import PAPER_PSNR, baseline_scores, evaluate
from drrobot_ros.training.loading import self_model_of
from drrobot_ros.training.trainer import train

TINY = TrainConfig(
    count=300, steps=30, density_every=10, validate_every=1000, checkpoint_every=1000
)


class Truth:
    """Answers with what the dataset holds, its colours off by a constant."""

    def __init__(self, dataset, error=0.0):
        self.dataset, self.error = dataset, error

    def image(self, q, T_base_camera):
        number = next(
            i
            for i in range(len(self.dataset))
            if np.array_equal(self.dataset.T_base_camera[i], T_base_camera)
        )
        view = self.dataset.view(number)
        rgb = torch.from_numpy(view.rgb.astype(np.float32) / 255)
        return rgb + self.error * (1 - 2 * (rgb > 0.5).float()), torch.from_numpy(
            view.mask.astype(np.float32)
        )

    def points(self, q):
        pose = int(np.argmin(np.abs(self.dataset.q - q).sum(axis=1)))
        return torch.from_numpy(self.dataset.point_cloud(pose))


def test_truth_is_perfect(arm, dataset):
    scores = evaluate(arm, Truth(dataset), dataset)
    assert scores.psnr == scores.psnr_inside == 100.0
    assert scores.iou == 1.0 and scores.chamfer_m == 0.0
    assert scores.ssim == pytest.approx(1.0, abs=1e-5)
    assert scores.views == len(dataset.views("test"))
    masks = [dataset.view(int(i)).mask.mean() for i in dataset.views("test")]
    assert scores.coverage == pytest.approx(np.mean(masks))


def test_known_error_gives_known_decibels(arm, dataset):
    scores = evaluate(arm, Truth(dataset, error=51 / 255), dataset)
    assert scores.psnr_inside == pytest.approx(-20 * np.log10(0.2), abs=0.01)


def test_rows_are_ordered_as_quality_is(arm, dataset):
    views = some(dataset.views("test"), 3)
    rows = untrained_rows(arm, dataset, views, count=800, known=200)
    free, nearest, random = rows["training-free"], rows["nearest of 200"], rows["random"]
    assert free.psnr > nearest.psnr and free.iou > 0.9 > nearest.iou > random.iou
    assert free.chamfer_m < nearest.chamfer_m < random.chamfer_m
    assert rows == untrained_rows(arm, dataset, views, count=800, known=200)


def test_the_nearest_pose_is_found(arm, dataset):
    source = RetrievedImage(arm, dataset, 50, seed=3)
    try:
        known = arm.random_configuration(50, 3)
        step = torch.full((arm.nq,), 1e-3, dtype=torch.float64)
        assert torch.equal(source.nearest((known[17] + step).numpy()), known[17])
    finally:
        source.close()


@pytest.mark.parametrize("name", ["ours", "implicit, deformation"])
def test_a_file_comes_back_as_the_model_it_was(arm, dataset, tmp_path, name):
    config = dataclasses.replace(TINY, **VARIANTS[name])
    result = train(arm, dataset, config, progress=False)
    result.gaussians.save(tmp_path / "arm.npz")
    again = self_model_of(GaussianRobot.load(tmp_path / "arm.npz"))
    views = [int(v) for v in dataset.views("test")[:2]]
    trained, loaded = (evaluate(arm, m, dataset, views) for m in (result.self_model, again))
    assert loaded.psnr == pytest.approx(trained.psnr, abs=0.02)
    assert loaded.chamfer_m == pytest.approx(trained.chamfer_m, rel=1e-3)


def test_a_variant_is_trained_once(arm, dataset, tmp_path):
    calls = []

    def work(config, folder):
        calls.append(config)
        result = train(arm, dataset, config, progress=False).gaussians
        result.save(folder / "self_model.npz")
        return result

    views = some(dataset.views("test"), 1)
    folder = variant_folder(tmp_path, TINY, "rigid only")
    first, second = (
        trained_row(arm, dataset, views, "rigid only", TINY, folder, work) for _ in range(2)
    )
    assert first == second and len(calls) == 1
    assert folder == variant_folder(tmp_path, TINY, "ours")  # the same settings here
    with pytest.raises(InputError, match="valid"):
        trained_row(arm, dataset, views, "everything", TINY, folder, work)


def test_bad_input_is_named(arm, robot, dataset):
    gaussians = GaussianRobot.from_model(arm, 100)
    with pytest.raises(InputError, match="no view"):
        evaluate(arm, gaussians, dataset, [])
    with pytest.raises(InputError, match="other links"):
        evaluate(robot("every_joint"), gaussians, dataset)
    noisy = dataclasses.replace(dataset, config=dataclasses.replace(dataset.config, randomize=True))
    with pytest.raises(InputError, match="random"):
        evaluate(arm, gaussians, noisy)
    with pytest.raises(InputError, match="test poses"):
        some([], 3)


def test_the_command_prints_the_table(arm, dataset, tmp_path, capsys, models_root):
    GaussianRobot.from_model(arm, 300).save(tmp_path / "self_model.npz")
    words = [
        str(models_root / "six_axis_arm" / "six_axis_arm.urdf"),
        "--out",
        str(tmp_path),
        "--data",
        str(dataset.folder),
    ]
    words += ["--views", "2", "--nearest", "20", "--preset", "quick"]
    assert cli.main(["evaluate", *words]) == 0
    out = capsys.readouterr().out
    for text in ("64 x 64", "white background", "covers", "this model", "nearest of 20", "random"):
        assert text in out
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert saved["this model"]["views"] == 2
    assert RobotDataset.load(dataset.folder).config == dataset.config


def test_the_command_says_what_is_missing(tmp_path, capsys, models_root):
    words = [
        "evaluate",
        str(models_root / "six_axis_arm" / "six_axis_arm.urdf"),
        "--out",
        str(tmp_path),
    ]
    assert cli.main(words) == 2
    assert "drrobot train" in capsys.readouterr().err


def test_the_paper_stands_beside_its_robots(arm, dataset):
    scores = evaluate(arm, Truth(dataset), dataset)
    text = command.table({"ours": scores}, "unitree_go1", dataset.camera, 0.1)
    assert f"{PAPER_PSNR['unitree_go1']:.2f}" in text
    assert "paper" not in command.table({"ours": scores}, "arm", dataset.camera, 0.1)


def test_baselines_answer_for_other_views_too(arm, dataset):
    assert set(baseline_scores(arm, dataset, [0], 5)) == {"nearest of 5", "random"}
