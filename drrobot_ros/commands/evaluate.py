"""Judge a robot's self-model on poses it was not trained on: the table of Dr. Robot's paper.

Renders test views if there are none, then prints PSNR (whole image and inside the robot), SSIM,
mask IoU and Chamfer distance of the trained model, of the training-free one, of the nearest of many
images and of a random one. With --ablation the variants (skinning, deformation) are trained too.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import DEMO_ARM, RobotFlags, load_model
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError

SUMMARY = "judge a robot's self-model on unseen poses"
_ROWS = (
    ("psnr", "PSNR dB", 1.0, "{:.2f}"),
    ("psnr_inside", "inside dB", 1.0, "{:.2f}"),
    ("ssim", "SSIM", 1.0, "{:.4f}"),
    ("iou", "IoU", 1.0, "{:.4f}"),
    ("chamfer_m", "Chamfer mm", 1e3, "{:.2f}"),
)


@dataclasses.dataclass(frozen=True)
class EvaluateFlags:
    """What is judged, and on how much."""

    views: int = setting(0, "test views to judge on; 0: all there are", minimum=0)
    nearest: int = setting(1000, "images the nearest is chosen from", minimum=2, maximum=10000000)
    ablation: bool = setting(False, "train and judge the variants, which takes minutes for each")
    preset: str = setting("default", "how the variants are trained")
    data_preset: str = setting("", "of views that must be rendered first; empty: the preset's")
    data: str = setting("", "folder of the views; empty: inside the output folder")
    out: str = setting("", "folder of the self-model and its views; empty: self_models/ROBOT")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("robot", help="URDF or MJCF file, menagerie name, or 'demo'")
    parser.add_argument(
        "--self-model", default="", help="file; the one in the output folder if none"
    )
    parser.add_argument("--package-paths", nargs="*", default=(), help="as for the other commands")
    parser.add_argument("--base-link", default="", help="as for the other commands")
    add_flags(parser, EvaluateFlags)


def run(options: argparse.Namespace) -> int:
    """Print the table, and write it beside the self-model as JSON."""
    from tqdm import tqdm

    from drrobot_ros.splats import GaussianRobot
    from drrobot_ros.training.comparison import some, untrained_rows
    from drrobot_ros.training.config import preset
    from drrobot_ros.training.dataset_config import dataset_preset
    from drrobot_ros.training.dataset_render import render_dataset
    from drrobot_ros.training.evaluation import evaluate
    from drrobot_ros.training.loading import self_model_of

    flags = from_flags(EvaluateFlags, options)
    robot = RobotFlags(options.robot, tuple(options.package_paths), options.base_link)
    chosen = preset(flags.preset)
    data = dataset_preset(flags.data_preset or chosen.dataset)
    model = load_model(robot)
    name = model.name if options.robot in ("", DEMO_ARM) else Path(options.robot).stem
    folder = Path(flags.out) if flags.out else Path("self_models") / name
    path = Path(options.self_model) if options.self_model else folder / "self_model.npz"
    if not path.is_file() and (options.self_model or not flags.ablation):
        raise InputError(f"no self-model at {str(path)!r}: train one with drrobot train")
    gaussians = GaussianRobot.load(path) if path.is_file() else None
    if gaussians is not None:
        gaussians.check_matches(model)
    views_folder = Path(flags.data) if flags.data else folder / "views"
    dataset = _views(model, views_folder)
    if dataset is None:
        dataset = render_dataset(model, views_folder, data)
    views = some(list(dataset.views("test")), flags.views)
    rows: dict[str, Any] = {}
    with tqdm(desc="views judged", unit="view") as bar:

        def tick(_: int) -> None:
            bar.update()

        if gaussians is not None:
            subject = self_model_of(gaussians)
            rows["this model"] = evaluate(model, subject, dataset, views, tick)
        if flags.ablation:
            rows |= _variants(model, dataset, views, chosen, folder, flags)
        rows |= untrained_rows(model, dataset, views, chosen.train.count, flags.nearest, tick)
    print(table(rows, name, dataset.camera, next(iter(rows.values())).coverage))
    target = folder / "evaluation.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({k: dataclasses.asdict(v) for k, v in rows.items()}, indent=1))
    print(f"written: {target}")
    return 0


def table(rows: dict[str, Any], robot: str, camera: Any, coverage: float) -> str:
    """Return the scores as text, the protocol first."""
    from drrobot_ros.training.evaluation import PAPER_PSNR

    first = next(iter(rows.values()))
    lines = [
        f"{robot}: {first.views} views of poses not trained on, "
        f"{camera.width} x {camera.height} px, white background, the robot covers {coverage:.1%}",
        "Chamfer: mean of both mean nearest distances between Gaussian centres and the surface",
        f"{'':<24}" + "".join(f"{title:>12}" for _, title, _, _ in _ROWS),
    ]
    for name, scores in rows.items():
        cells = [form.format(scale * getattr(scores, key)) for key, _, scale, form in _ROWS]
        lines.append(f"{name:<24}" + "".join(f"{cell:>12}" for cell in cells))
    paper = PAPER_PSNR.get(robot)
    if paper is not None:
        lines.append(f"{'Dr. Robot, its paper':<24}{paper:>12.2f}   (its own views)")
    return "\n".join(lines)


def _views(model: Any, folder: Path) -> Any:
    """Return the dataset that lies in a folder, whatever its settings; None if there is none."""
    from drrobot_ros.training.dataset import INDEX, RobotDataset

    if not (folder / INDEX).is_file():
        return None
    dataset = RobotDataset.load(folder)
    dataset.check_matches(model)
    return dataset


def _variants(
    model: Any, dataset: Any, views: list[int], chosen: Any, folder: Path, flags: EvaluateFlags
) -> dict[str, Any]:
    from drrobot_ros.splats import GaussianRobot
    from drrobot_ros.training.comparison import VARIANTS, trained_row, variant_folder
    from drrobot_ros.training.trainer import train

    def trained(config: Any, target: Path) -> GaussianRobot:
        result = train(model, dataset, config, chosen.loss, target).gaussians
        result.save(target / "self_model.npz")
        return result

    root = folder / "variants"
    return {
        name: trained_row(
            model,
            dataset,
            views,
            name,
            chosen.train,
            variant_folder(root, chosen.train, name),
            trained,
        )
        for name in VARIANTS
    }
