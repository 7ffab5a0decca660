"""The trained self-model: ten robots against the paper's table, and what its parts are worth.

Views are rendered and models trained into the folder named by DRROBOT_SELF_MODELS, else
benchmarks/out/self_model; what is there already is not made again, so a run can be stopped and
resumed. `--robots` and `--parts` choose what is measured.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import self_model_tracking
import torch
from common import QUICK, ROOT, Benchmark

from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.config import TrainConfig, preset
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.dataset_config import DATASET_PRESETS
from drrobot_ros.training.evaluation import PAPER_PSNR, evaluate
from drrobot_ros.training.losses import LossConfig
from drrobot_ros.training.produce import produce

GAIN_DB = 2.0
TRAIN_S = 180.0
WORST_IOU = 0.9
ABLATION_ROBOT = "universal_robots_ur5e"
ABLATION_STEPS = 400
SKINNING_STEPS = 150
COUNTS = (2000, 5000, 10000, 20000, 40000)
PARTS = ("robots", "tracking", "ablation", "skinning")


def menagerie() -> Path:
    """Return the folder of the Menagerie's robots."""
    named = os.environ.get("DRROBOT_MENAGERIE")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def output() -> Path:
    """Return the folder of views and models."""
    named = os.environ.get("DRROBOT_SELF_MODELS")
    return Path(named) if named else ROOT / "benchmarks" / "out" / "self_model"


def remembered(
    path: Path, key: dict[str, Any], make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what `make` returns, from a file where it was made with the same key before."""
    if path.is_file():
        known = json.loads(path.read_text())
        if known["key"] == key:
            return known["value"]
    value = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "value": value}, indent=1))
    return value


def scores_of(model: RobotModel, subject: Any, dataset: RobotDataset, step: int) -> dict[str, Any]:
    """Return the scores on every `step`-th test view."""
    scores = evaluate(model, subject, dataset, dataset.views("test")[::step])
    return {k: round(v, 5) for k, v in dataclasses.asdict(scores).items()}


def worst_iou(model: RobotModel, subject: Any, dataset: RobotDataset) -> float:
    """Return the lowest mask IoU of all test views: a lost limb shows here."""
    from drrobot_ros.training.metrics import iou
    from drrobot_ros.training.produce import predict

    values = []
    for number in dataset.views("test"):
        view, _, alpha = predict(subject, dataset, int(number))
        values.append(iou(alpha, torch.from_numpy(view.mask)))
    return round(min(values), 4)


def measure_robot(
    name: str,
    config: TrainConfig,
    loss: LossConfig,
    data: str,
    folder: Path,
    every: int,
    compare: bool = False,
) -> dict[str, Any]:
    """Train one robot and return its scores and times; if `compare`, the untrained one's too."""
    model = RobotModel.load(menagerie() / name / MAIN_FILES[name])
    product = produce(
        model,
        folder,
        config,
        loss,
        DATASET_PRESETS[data],
        data_folder=output() / name / f"views_{data}",
        command=f"benchmarks/self_model.py: {name}",
    )
    dataset = RobotDataset.load(output() / name / f"views_{data}")
    links = {v.link for v in model.visuals}
    kept = set(product.gaussians.link_index.tolist())
    more: dict[str, Any] = {}
    if compare:
        started = time.process_time()
        untrained = GaussianRobot.from_model(model, config.count)
        more["sampling_cpu_s"] = round(time.process_time() - started, 1)
        more["untrained"] = scores_of(model, untrained, dataset, 2 * every)
        more["worst_iou"] = worst_iou(model, product.self_model, dataset)
    return {
        **scores_of(model, product.self_model, dataset, every),
        **more,
        # Of skinned Gaussians several links share each: the worst view tells a lost limb.
        "links_lost": None if product.self_model.skinning is not None else len(links - kept),
        "gaussians": len(product.gaussians),
        "train_cpu_s": product.scores["train_cpu_s"],
        "train_wall_s": product.scores["train_wall_s"],
        "render_cpu_s": product.scores["render_cpu_s"],
        "megabytes": round(product.path.stat().st_size / 1e6, 2),
    }


def robots(bench: Benchmark, names: list[str], every: int) -> None:
    """The ten robots."""
    chosen = preset("quick" if QUICK else "default")
    data = "quick" if QUICK else chosen.dataset
    for name in names:
        folder = output() / name / ("quick" if QUICK else "default")
        key = {
            "train": dataclasses.asdict(chosen.train),
            "loss": dataclasses.asdict(chosen.loss),
            "views": dataclasses.asdict(DATASET_PRESETS[data]),
            "every": every,
        }
        row = remembered(
            folder / "scores.json",
            json.loads(json.dumps(key)),
            functools.partial(
                measure_robot, name, chosen.train, chosen.loss, data, folder, every, compare=True
            ),
        )
        floor = None if QUICK else PAPER_PSNR[name] + GAIN_DB
        bench.add(
            f"{name}: PSNR, whole image",
            round(row["psnr"], 2),
            "dB",
            floor=floor,
            better="higher",
            paper=PAPER_PSNR[name],
            inside=round(row["psnr_inside"], 2),
            ssim=round(row["ssim"], 4),
            iou=round(row["iou"], 4),
            coverage=round(row["coverage"], 4),
            untrained=round(row["untrained"]["psnr"], 2),
            untrained_inside=round(row["untrained"]["psnr_inside"], 2),
            untrained_iou=round(row["untrained"]["iou"], 4),
            gaussians=row["gaussians"],
        )
        chamfer = round(1e3 * row["chamfer_m"], 3)
        bench.add(f"{name}: Chamfer distance", chamfer, "mm")
        bench.add(
            f"{name}: worst view's IoU",
            row["worst_iou"],
            "of 1",
            floor=None if QUICK else WORST_IOU,
            better="higher",
            links_lost=row["links_lost"],
        )
        # One thread's CPU time bounds the wall time on two idle cores from above.
        bench.add(
            f"{name}: training, CPU time",
            row["train_cpu_s"],
            "s",
            floor=TRAIN_S,
            render_cpu_s=row["render_cpu_s"],
            megabytes=row["megabytes"],
        )


def tracking(bench: Benchmark) -> None:
    """Joint errors with the trained model over those without training, on the same videos."""
    for name in self_model_tracking.ARMS:
        path = output() / name / ("quick" if QUICK else "default") / "self_model.npz"
        if not path.is_file():
            print(f"{name}: tracking left out, no {path}; run the part 'robots' first")
            continue
        key = {"model": hashlib.sha256(path.read_bytes()).hexdigest(), "quick": QUICK}
        rows = remembered(
            path.with_name("tracking.json"),
            key,
            functools.partial(self_model_tracking.measure, name, menagerie(), path),
        )
        for label, row in rows.items():
            bench.add(
                f"{name}: tracking, {label}: joint error, trained over untrained",
                round(row["trained_deg"] / row["untrained_deg"], 3),
                "",
                floor=None if QUICK else 0.5,
                **row,
            )


def ablation(bench: Benchmark, every: int) -> None:
    """Number of Gaussians, light, harmonics, growth and deformation, at fewer steps."""
    steps = 60 if QUICK else ABLATION_STEPS
    base = dataclasses.replace(
        preset("quick" if QUICK else "default").train,
        steps=steps,
        checkpoint_every=steps,
        validate_every=steps,
    )
    cases: dict[str, tuple[TrainConfig, LossConfig]] = {
        f"{n} Gaussians": (dataclasses.replace(base, count=n), LossConfig()) for n in COUNTS
    }
    cases["no light"] = (dataclasses.replace(base, light=False), LossConfig())
    cases["no harmonics"] = (dataclasses.replace(base, sh=False), LossConfig())
    cases["neither"] = (dataclasses.replace(base, sh=False, light=False), LossConfig())
    cases["no growth"] = (dataclasses.replace(base, growth=0.0), LossConfig())
    cases["deformation"] = (dataclasses.replace(base, deformation=True), LossConfig())
    cases["deformation, no light"] = (
        dataclasses.replace(base, deformation=True, light=False),
        LossConfig(),
    )
    data = "quick" if QUICK else "default"
    name = ABLATION_ROBOT
    if QUICK:
        cases = {label: cases[label] for label in ("2000 Gaussians", "no light")}
    for label, (config, loss) in cases.items():
        folder = output() / name / "ablation" / label.replace(" ", "_").replace("'", "")
        key = {"train": dataclasses.asdict(config), "loss": dataclasses.asdict(loss)}

        make = functools.partial(measure_case, name, config, loss, data, folder, 2 * every)
        row = remembered(folder / "scores.json", json.loads(json.dumps(key)), make)
        bench.add(
            f"{name}, {steps} steps, {label}: PSNR",
            round(row["psnr"], 2),
            "dB",
            better="higher",
            inside=round(row["psnr_inside"], 2),
            iou=round(row["iou"], 4),
            chamfer_mm=round(1e3 * row["chamfer_m"], 3),
            gaussians=row["gaussians"],
            train_cpu_s=row["train_cpu_s"],
            frame_ms=row["frame_ms"],
            tracking_deg=row["tracking_deg"],
            megabytes=row["megabytes"],
        )


def measure_case(
    name: str, config: TrainConfig, loss: LossConfig, data: str, folder: Path, every: int
) -> dict[str, Any]:
    """As `measure_robot`, with the tracking error and the time of a frame."""
    row = measure_robot(name, config, loss, data, folder, every)
    path = folder / "self_model.npz"
    error = self_model_tracking.median_error_deg(name, menagerie(), path)
    return {**row, **frame_time(name, folder), "tracking_deg": error}


def frame_time(name: str, folder: Path) -> dict[str, float]:
    """Return the CPU time of rendering one 320x240 frame with its colours, ms."""
    from drrobot_ros.geometry.camera import PinholeCamera
    from drrobot_ros.rendering import render_robot
    from drrobot_ros.rendering.viewpoint import pose_that_sees

    model = RobotModel.load(menagerie() / name / MAIN_FILES[name])
    gaussians = GaussianRobot.load(folder / "self_model.npz")
    camera = PinholeCamera.from_fov(320, 240, np.radians(45))
    q = model.neutral()
    T = pose_that_sees(model, q, camera)
    times = []
    for _ in range(15):
        started = time.process_time()
        with torch.no_grad():
            render_robot(model, gaussians, q, T, camera)
        times.append(1e3 * (time.process_time() - started))
    return {"frame_ms": round(float(np.median(times)), 2)}


def skinning(bench: Benchmark, names: list[str], every: int) -> None:
    """Implicit skinning against rigid, after as many steps."""
    steps = 60 if QUICK else SKINNING_STEPS
    data = "quick" if QUICK else "default"
    near = 0
    for name in names:
        psnr = {}
        for kind in ("rigid", "implicit"):
            config = dataclasses.replace(
                preset("quick" if QUICK else "default").train,
                steps=steps,
                skinning=kind,
                checkpoint_every=steps,
                validate_every=steps,
            )
            folder = output() / name / f"skinning_{kind}"
            key = json.loads(json.dumps({"train": dataclasses.asdict(config)}))
            row = remembered(
                folder / "scores.json",
                key,
                functools.partial(
                    measure_robot, name, config, LossConfig(), data, folder, 2 * every
                ),
            )
            psnr[kind] = row["psnr"]
        lost = round(psnr["rigid"] - psnr["implicit"], 2)
        near += lost <= 1.0
        bench.add(f"{name}, {steps} steps: PSNR lost by implicit skinning", lost, "dB", **psnr)
    floor = 8 if len(names) == 10 and not QUICK else None
    bench.add("robots within 1 dB of rigid", near, "", floor=floor, better="higher")


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robots", nargs="*", default=sorted(MAIN_FILES))
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--every", type=int, default=1, help="use every n-th test view")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [n for n in options.robots if (menagerie() / n).is_dir()]
    for missing in sorted(set(options.robots) - set(names)):
        print(f"{missing}: left out, not in {menagerie()}; set DRROBOT_MENAGERIE")
    names = names[:1] if QUICK else names
    data = DATASET_PRESETS["quick" if QUICK else "default"]
    bench = Benchmark(
        "self_model",
        width=data.width,
        height=data.height,
        background="white",
        light="a lamp fixed to the room, a lamp at the camera, ambient; gloss; no cast shadows",
        protocol="cameras on a sphere, 1.0 to 1.3 of the distance at which the pose fills the "
        "image; random poses within limits without self-contact; unseen poses",
        chamfer="mean of both directed mean nearest distances, centres of Gaussians of opacity "
        "above 0.1 against points on the outside of the meshes; the paper gives no unit",
        train_poses=data.poses,
        views_per_pose=data.views,
        canonical_views=data.canonical_views,
        test_poses=data.test_poses,
        steps=preset("quick" if QUICK else "default").train.steps,
    )
    if "robots" in options.parts:
        robots(bench, names, options.every)
    if "tracking" in options.parts:
        tracking(bench)
    if "ablation" in options.parts:
        ablation(bench, options.every)
    if "skinning" in options.parts:
        skinning(bench, names, options.every)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
