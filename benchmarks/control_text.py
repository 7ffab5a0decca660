"""From sentences to poses: a hand of 24 joints and an arm, ten prompts each.

    python benchmarks/control_text.py [--encoder small | FOLDER | open_clip:MODEL:FILE]

The default is the project's own small model, which knows these poses by name and nothing else;
with a folder of real CLIP weights the same benchmark runs unchanged. Judges that had no part: other
viewpoints, the joints' own measure of each caption, and MediaPipe's hand landmarks. Pictures of
what was found go to ``docs/images``, for people to judge.
"""

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

import control_text_judge as judge
import numpy as np
import torch
from common import QUICK, ROOT, Benchmark
from control_text_cost import add_cost_rows
from PIL import Image, ImageDraw
from tqdm import tqdm

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.text.captions import pose_names
from drrobot_ros.control.text.encoder import OWN, TextImageEncoder, load_encoder
from drrobot_ros.control.text.light import LitRobot
from drrobot_ros.control.text.posing import PosingConfig, default_views, pose_from_text
from drrobot_ros.control.text.views import Stage
from drrobot_ros.errors import DrRobotError
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

ROBOTS = {"hand": ("Shadow Hand", "shadow_hand"), "arm": ("UR5e", "universal_robots_ur5e")}
SPLATS = 3000
CONFIG = PosingConfig(pool=150, rounds=2, iterations=15) if QUICK else PosingConfig()
SKIN = (0.85, 0.65, 0.52)  # hands as MediaPipe knows them
JUDGE_TURNS = np.radians([-40, -20, 0, 20, 40])
#: For people: what reaches forward is seen from the side only.
TURNS = {"hand": (0.0,), "arm": (0.0, -np.pi / 2)}
PICTURES = ROOT / "docs" / "images"


@dataclasses.dataclass(frozen=True, eq=False)
class Posed:
    """What became of each prompt.

    Attributes:
        model: the robot.
        gaussians: its splats.
        prompts: [n].
        q: [n,nq] poses found.
        before: [n] similarity of each prompt to the rest pose.
        after: [n,n] similarity of each final picture (row) to each prompt (column).
        elsewhere: the same from viewpoints between and above those that were used.
        fitting: how many poses the joints themselves call by their prompt.
        cpu_s: of each prompt.
    """

    model: RobotModel
    gaussians: GaussianRobot
    prompts: list[str]
    q: np.ndarray
    before: np.ndarray
    after: np.ndarray
    elsewhere: np.ndarray
    fitting: int
    cpu_s: list[float]

    def first(self, similarities: np.ndarray) -> int:
        """Return how many pictures are nearer to their own prompt than to any other."""
        return int((similarities.argmax(1) == np.arange(len(similarities))).sum())


@torch.no_grad()
def similarities(
    encoder: TextImageEncoder,
    model: RobotModel,
    lit: LitRobot,
    q: np.ndarray,
    views: tuple[Viewpoint, ...],
    prompts: list[str],
) -> np.ndarray:
    """Return the mean similarity of the pictures of a pose to each prompt [n]."""
    at = Candidate(model, lit, torch.from_numpy(q)[None], views)
    seen = torch.stack([at.render(0, k).rgb.movedim(-1, 0) for k in range(len(views))])
    size = (encoder.image_size, encoder.image_size)
    images = torch.nn.functional.interpolate(seen, size, mode="bilinear", antialias=True)
    found = encoder.embed_images(images.clamp(0, 1)) @ encoder.embed_texts(prompts).T
    return found.mean(0).numpy()


def pose_all(kind: str, encoder: TextImageEncoder) -> Posed | None:
    """Pose a robot by ten prompts; None without the robot."""
    beside = ROOT.parent / "shared" / "data" / "menagerie"
    if beside.is_dir():
        os.environ.setdefault("DRROBOT_MENAGERIE", str(beside))
    name, source = ROBOTS[kind]
    try:
        model = RobotModel.load(source)
    except DrRobotError as error:
        print(f"without the {name}: {error}")
        return None
    gaussians = GaussianRobot.from_model(model, count=SPLATS)
    lit, names = LitRobot(gaussians), pose_names(model)
    limits = MotionLimits.of(model)
    rest = np.clip((model.neutral() if kind == "hand" else model.home()).numpy(),
                   limits.lower, limits.upper)  # fmt: skip
    prompts = [caption.name for caption in names.captions]
    views = default_views(model, encoder, CONFIG)
    stage, size = Stage.of(model, names), views[0].camera.width
    others = tuple(stage.view(s * stage.spread_rad, 0.5, size) for s in (-0.75, -0.25, 0.25, 0.75))
    found, fitting, cpu = [], 0, []
    for k, prompt in enumerate(tqdm(prompts[:3] if QUICK else prompts, desc=name)):
        began = time.process_time()
        made = pose_from_text(model, gaussians, encoder, prompt, rest, limits, views, config=CONFIG)
        cpu.append(time.process_time() - began)
        found.append(made.q[0])
        fitting += int(names.distances(made.q[0]).argmin()) == k

    def measured(poses: list[np.ndarray], at: tuple[Viewpoint, ...]) -> np.ndarray:
        return np.stack([similarities(encoder, model, lit, q, at, prompts) for q in poses])

    return Posed(
        model,
        gaussians,
        prompts,
        np.stack(found),
        measured([rest], views)[0],
        measured(found, views),
        measured(found, others),
        fitting,
        cpu,
    )


def robot_rows(bench: Benchmark, kind: str, posed: Posed | None) -> None:
    """Add the rows of one robot."""
    name = ROBOTS[kind][0]
    asked = None if posed is None else len(posed.q)

    def count(what: str, value: int | None, floor: int | None, **more: object) -> None:
        floor = None if QUICK else floor
        bench.add(
            f"text, {name}: {what}", value, f"of {asked}", floor=floor, better="higher", **more
        )

    if posed is None:
        count("similarity rises from the rest pose", None, 10)
        return
    n = len(posed.q)
    own = posed.after[np.arange(n), np.arange(n)]
    rise = own - posed.before[:n]
    count(
        "similarity rises from the rest pose",
        int((rise > 0).sum()),
        10,
        smallest=round(float(rise.min()), 4),
        median=round(float(np.median(rise)), 4),
    )
    nearest = [posed.prompts[int(k)] for k in posed.after.argmax(1)]
    wrong = {p: got for p, got in zip(posed.prompts, nearest, strict=False) if p != got}
    count(
        "final picture nearer to its prompt than to the nine others",
        posed.first(posed.after),
        8,
        instead=wrong,
    )
    count("the same from viewpoints not used", posed.first(posed.elsewhere), 8)
    count("the joints themselves name the pose so", posed.fitting, None)
    bench.add(f"text, {name}: time of a prompt", float(np.median(posed.cpu_s)), "CPU s")


def judge_rows(bench: Benchmark, posed: Posed | None) -> None:
    """Add the rows of MediaPipe: how open it sees the fist and the open hand."""
    data = judge.fetch() if posed is not None else None
    views: int | None = None
    more: dict[str, object] = {}
    if posed is not None and data is not None:
        network = judge.HandLandmarks(data)
        seen = {}
        for prompt in ("an open hand", "a fist"):
            q = posed.q[posed.prompts.index(prompt)]
            found = [network(image) for image in judge_pictures(posed, q)]
            seen[prompt] = [judge.openness(landmarks) for landmarks, _ in found]
            more[prompt] = [round(x, 2) for x in seen[prompt]]
            more[f"hand seen, {prompt}"] = [round(sure, 2) for _, sure in found]
        pairs = zip(seen["a fist"], seen["an open hand"], strict=True)
        views = sum(fist < flat for fist, flat in pairs)
    floor = None if posed is None and QUICK else 3
    bench.add(
        "text, MediaPipe hand landmarks: 'a fist' less open than 'an open hand'",
        views,
        f"of {len(JUDGE_TURNS)} views",
        floor=floor,
        better="higher",
        **more,
    )


@torch.no_grad()
def judge_pictures(posed: Posed, q: np.ndarray) -> list[np.ndarray]:
    """Return pictures [224,224,3] of a hand in the colour of skin, from side to side."""
    stage = Stage.of(posed.model, pose_names(posed.model))
    views = tuple(stage.view(turn, 0.1, 224, 0.95) for turn in JUDGE_TURNS)
    at = Candidate(posed.model, LitRobot(posed.gaussians, SKIN), torch.from_numpy(q)[None], views)
    return [_bytes(at.render(0, k).rgb) for k in range(len(views))]


@torch.no_grad()
def contact_sheet(posed: Posed, turns: tuple[float, ...], path: Path, size: int = 200) -> None:
    """Write pictures of every pose found under its prompt, five prompts in a row.

    Args:
        posed: what was found.
        turns: of the viewpoints below each other, rad from the front to the robot's left.
        path: where to.
        size: of each picture, px.
    """
    stage = Stage.of(posed.model, pose_names(posed.model))
    lit = LitRobot(GaussianRobot.from_model(posed.model, count=12000))
    views = tuple(stage.view(turn, 0.35, size) for turn in turns)
    high = 22 + len(views) * size
    sheet = Image.new("RGB", (5 * size, -(-len(posed.q) // 5) * high), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (prompt, q) in enumerate(zip(posed.prompts, posed.q, strict=False)):
        at = Candidate(posed.model, lit, torch.from_numpy(q)[None], views)
        x, y = k % 5 * size, k // 5 * high
        draw.text((x + 6, y + 4), f'"{prompt}"', fill="black", font_size=13)
        for row in range(len(views)):
            image = Image.fromarray(_bytes(at.render(0, row).rgb))
            sheet.paste(image, (x, y + 22 + row * size))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=88)


def _bytes(image: torch.Tensor) -> np.ndarray:
    return (255 * image.clamp(0, 1) + 0.5).to(torch.uint8).numpy()


def add_rows(bench: Benchmark, source: str = OWN) -> None:
    """Add all rows, judged by a text-image model, and write the pictures."""
    encoder = load_encoder(source)
    posed = {kind: pose_all(kind, encoder) for kind in ROBOTS}
    for kind, found in posed.items():
        robot_rows(bench, kind, found)
        if found is not None and not QUICK:
            suffix = "" if source == OWN else "_clip"
            contact_sheet(found, TURNS[kind], PICTURES / f"text_{kind}{suffix}.jpg")
    judge_rows(bench, posed["hand"])
    add_cost_rows(bench)


def main() -> int:
    """Measure and write ``results/control_text.json``, or ``..._clip.json`` of another model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--encoder",
        default=os.environ.get("DRROBOT_TEXT_ENCODER", OWN),
        help="'small', a folder of transformers' weights, or open_clip:MODEL:FILE",
    )
    source = parser.parse_args().encoder
    torch.set_num_threads(1)
    name = "control_text" if source == OWN else "control_text_clip"
    bench = Benchmark(name, encoder=Path(source).name, config=dataclasses.asdict(CONFIG))
    add_rows(bench, source)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
