"""Train the project's own text-image model: ``python -m drrobot_ros.control.text.fit_small``.

Renders of hands and arms in named poses and in between; each picture should fit each caption as
well as its joint positions do (sigmoid loss, Zhai et al., "Sigmoid Loss for Language Image
Pre-Training", 2023, with graded targets, so that the way to a pose leads uphill).
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.text.captions import PoseNames, pose_names
from drrobot_ros.control.text.small import SmallEncoder
from drrobot_ros.control.text.views import Stage
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

BACKGROUND = (0.55, 0.6, 0.65)  # that of `views`
TEMPLATES = ("{}", "a robot showing {}", "a picture of {}", "make {}", "{}, please")


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Renders of one robot.

    Attributes:
        images: [n,3,64,64] uint8, on black.
        alpha: [n,64,64] uint8.
        fits: how well each caption fits [n,captions].
        kind: index of the caption each was made for, -1 for none.
        words: of each caption.
    """

    images: torch.Tensor
    alpha: torch.Tensor
    fits: torch.Tensor
    kind: torch.Tensor
    words: tuple[tuple[str, ...], ...]

    def seen(self, rows: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
        """Return images [n,3,64,64] 0..1 on grey, or in random light before something."""
        rgb, alpha = self.images[rows] / 255.0, self.alpha[rows, None] / 255.0
        if random is None:
            behind = torch.tensor(BACKGROUND)[:, None, None]
            return (rgb + (1 - alpha) * behind).clamp(0, 1)
        n = len(rows)
        light = 0.7 + 0.6 * torch.rand(n, 3, 1, 1, generator=random)
        flat = torch.rand(n, 3, 1, 1, generator=random)
        grey = torch.tensor(BACKGROUND)[:, None, None]
        flat = torch.where(torch.rand(n, 1, 1, 1, generator=random) < 0.4, grey, flat)
        coarse = torch.rand(n, 3, 6, 6, generator=random) - 0.5
        rough = 0.5 * torch.rand(n, 1, 1, 1, generator=random)
        behind = flat + rough * torch.nn.functional.interpolate(coarse, 64, mode="bilinear")
        noise = 0.03 * torch.randn(rgb.shape, generator=random)
        return (rgb * light + (1 - alpha) * behind + noise).clamp(0, 1)


def draw(model: RobotModel, names: PoseNames, count: int, seed: int) -> Pictures:
    """Render a robot in named poses (two thirds) and in between, from around the front."""
    random = np.random.default_rng(seed)
    splats = GaussianRobot.from_model(model, count=3000)
    stage = Stage.of(model, names)
    n = len(names.captions)
    images, alphas, fits, kinds = [], [], [], []
    for i in tqdm(range(count), desc=f"draw {model.name}", leave=False):
        kind = i % n if random.uniform() < 0.67 else -1
        q = names.sample(random, kind if kind >= 0 else None)
        view = stage.view(
            random.uniform(-0.9, 0.9), random.uniform(0.1, 0.7), 64, random.uniform(0.9, 1.2)
        )
        with torch.no_grad():
            seen = Candidate(model, splats, torch.from_numpy(q)[None], (view,)).render(0, 0)
        behind = torch.tensor(view.background)
        color = (seen.rgb - (1 - seen.alpha[..., None]) * behind).clamp(0, 1)
        images.append((255 * color).byte().movedim(-1, 0))
        alphas.append((255 * seen.alpha.clamp(0, 1)).byte())
        fits.append(names.fits(q))
        kinds.append(kind)
    words = tuple(caption.words for caption in names.captions)
    fitted = torch.tensor(np.array(fits), dtype=torch.float32)
    return Pictures(torch.stack(images), torch.stack(alphas), fitted, torch.tensor(kinds), words)


def train(sets: list[Pictures], steps: int, batch: int, seed: int) -> SmallEncoder:
    """Return a model trained on several robots' pictures."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    model = SmallEncoder()
    adam = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, total_steps=steps, pct_start=0.1)
    progress = tqdm(range(steps), desc="train")
    for step in progress:
        pictures = sets[step % len(sets)]
        rows = torch.randint(len(pictures.images), (batch,), generator=random)
        texts, owner = _say(pictures, random)
        z = model.logits(model.embed_images(pictures.seen(rows, random)), model.encode_texts(texts))
        wanted = pictures.fits[rows][:, owner]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, wanted)
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{float(loss.detach()):.3f}")
    return model.eval().requires_grad_(False)


def _say(pictures: Pictures, random: torch.Generator) -> tuple[list[str], list[int]]:
    """Return every caption twice, in random words."""

    def pick(n: int) -> int:
        return int(torch.randint(n, (1,), generator=random))

    texts, owner = [], []
    for k, words in enumerate(pictures.words):
        for _ in range(2):
            texts.append(TEMPLATES[pick(len(TEMPLATES))].format(words[pick(len(words))]))
            owner.append(k)
    return texts, owner


@torch.no_grad()
def accuracy(model: SmallEncoder, pictures: Pictures) -> float:
    """Return how often the caption a picture was made for is the nearest of its robot's."""
    texts = model.embed_texts([words[0] for words in pictures.words])
    named = (pictures.kind >= 0).nonzero()[:, 0]
    found = []
    for rows in named.split(256):
        z = model.embed_images(pictures.seen(rows, None)) @ texts.T
        found.append(z.argmax(1) == pictures.kind[rows])
    return float(torch.cat(found).float().mean())


def main() -> None:
    """Draw, train, measure on poses never seen, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("robots", nargs="+", help="files or names of robots to learn from")
    parser.add_argument("--held-out", nargs="*", default=(), help="robots only to measure on")
    parser.add_argument("--pictures", type=int, default=6000, help="per robot")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("models/text_image_small.npz"))
    args = parser.parse_args()
    began = time.process_time()
    models = [RobotModel.load(robot) for robot in args.robots]
    sets = [draw(m, pose_names(m), args.pictures, args.seed + i) for i, m in enumerate(models)]
    encoder = train(sets, args.steps, args.batch, args.seed)
    scores = {}
    for m in [*models, *(RobotModel.load(robot) for robot in args.held_out)]:
        scores[m.name] = accuracy(encoder, draw(m, pose_names(m), 600, args.seed + 1000))
        print(f"{m.name}: {scores[m.name]:.3f} of held-out pictures get their own caption")
    encoder.about = {
        "held_out_accuracy": scores,
        "captions": {m.name: [w[0] for w in s.words] for m, s in zip(models, sets, strict=True)},
        "command": {k: str(v) for k, v in vars(args).items() if k not in ("out", "robots")},
        "cpu_s": round(time.process_time() - began),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    encoder.save(args.out)
    print(f"written: {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
