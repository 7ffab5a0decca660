"""Train the project's own text-image model: ``python -m drrobot_ros.control.text.fit_small``.

Renders of hands and arms in named poses, in poses nearly named, in any pose and in impossible
ones. The similarity of a picture and a caption is to fall evenly with the distance of their poses,
so that the way to a pose leads uphill from wherever one stands, and its own caption is to win
(cross-entropy over captions, as CLIP: Radford et al. 2021, with graded targets).
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.text.captions import PoseNames, pose_names
from drrobot_ros.control.text.light import LitRobot
from drrobot_ros.control.text.small import SmallEncoder
from drrobot_ros.control.text.views import Stage
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

BACKGROUND = (0.55, 0.6, 0.65)  # that of `views`
TEMPLATES = (
    "{}",
    "a robot showing {}",
    "a picture of {}",
    "make {}",
    "{}, please",
    "a photo of {}",
)
NAMED = 0.4  # share of the pictures that show a caption
SOFT = 0.08  # distance at which another caption is as good as 1/e


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Renders of one robot.

    Attributes:
        images: [n,3,64,64] uint8, on black.
        alpha: [n,64,64] uint8.
        away: how far the pose is from each caption's [n,captions].
        kind: index of the caption each was made for, -1 for none.
        words: of each caption.
    """

    images: torch.Tensor
    alpha: torch.Tensor
    away: torch.Tensor
    kind: torch.Tensor
    words: tuple[tuple[str, ...], ...]

    def seen(self, rows: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
        """Return images [n,3,64,64] 0..1 on grey, or in random light before something."""
        rgb, alpha = self.images[rows] / 255.0, self.alpha[rows, None] / 255.0
        if random is None:
            behind = torch.tensor(BACKGROUND)[:, None, None]
            return (rgb + (1 - alpha) * behind).clamp(0, 1)
        n = len(rows)
        light = torch.exp(0.35 * torch.randn(n, 1, 1, 1, generator=random))
        light = light * (0.85 + 0.3 * torch.rand(n, 3, 1, 1, generator=random))
        flat = torch.rand(n, 3, 1, 1, generator=random)
        grey = torch.tensor(BACKGROUND)[:, None, None]
        flat = torch.where(torch.rand(n, 1, 1, 1, generator=random) < 0.4, grey, flat)
        coarse = torch.rand(n, 3, 6, 6, generator=random) - 0.5
        rough = 0.5 * torch.rand(n, 1, 1, 1, generator=random)
        behind = flat + rough * torch.nn.functional.interpolate(coarse, 64, mode="bilinear")
        noise = 0.03 * torch.randn(rgb.shape, generator=random)
        return (rgb * light + (1 - alpha) * behind + noise).clamp(0, 1)


def draw(model: RobotModel, names: PoseNames, count: int, seed: int) -> Pictures:
    """Render a robot in named poses and in others, from around the front."""
    random = np.random.default_rng(seed)
    splats = LitRobot(GaussianRobot.from_model(model, count=3000))
    stage = Stage.of(model, names)
    n = len(names.captions)
    images, alphas, away, kinds = [], [], [], []
    for i in tqdm(range(count), desc=f"draw {model.name}", leave=False):
        kind = i % n if random.uniform() < NAMED else -1
        q = names.sample(random, kind if kind >= 0 else None)
        view = stage.view(
            random.uniform(-1.2, 1.2) * stage.spread_rad,
            random.uniform(0.1, 0.6),
            64,
            random.uniform(0.9, 1.15),
        )
        with torch.no_grad():
            seen = Candidate(model, splats, torch.from_numpy(q)[None], (view,)).render(0, 0)
        behind = torch.tensor(view.background)
        color = (seen.rgb - (1 - seen.alpha[..., None]) * behind).clamp(0, 1)
        images.append((255 * color).byte().movedim(-1, 0))
        alphas.append((255 * seen.alpha.clamp(0, 1)).byte())
        away.append(names.distances(q))
        kinds.append(kind)
    words = tuple(caption.words for caption in names.captions)
    apart = torch.tensor(np.array(away), dtype=torch.float32)
    return Pictures(torch.stack(images), torch.stack(alphas), apart, torch.tensor(kinds), words)


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
        images, words = model.embed_images(pictures.seen(rows, random)), model.encode_texts(texts)
        loss = alignment(model, images, words, pictures.away[rows][:, owner])
        adam.zero_grad()
        loss.backward()
        adam.step()
        plan.step()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{float(loss.detach()):.3f}")
    return model.eval().requires_grad_(False)


def alignment(model: SmallEncoder, images: Tensor, texts: Tensor, away: Tensor) -> Tensor:
    """Return the loss of images [n,d] and texts [m,d] whose poses are so far apart [n,m].

    Each tower has to be right by itself.
    """
    wanted = 1 - 2 * away.clamp(max=1)
    share = (-away / SOFT).softmax(-1)
    total = images.new_zeros(())
    k = len(model.towers)
    for x, y in zip(images.chunk(k, -1), texts.chunk(k, -1), strict=True):
        found = k * (x @ y.T)
        even = torch.nn.functional.smooth_l1_loss(found, wanted, beta=0.2)
        own = -(share * (found / (2 * SOFT)).log_softmax(-1)).sum(-1).mean()
        total = total + even + 0.15 * own
    return total / k


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


@torch.no_grad()
def evenness(model: SmallEncoder, pictures: Pictures) -> float:
    """Return the correlation of similarity and nearness over all pictures, named or not."""
    texts = model.embed_texts([words[0] for words in pictures.words])
    found = []
    for rows in torch.arange(len(pictures.images)).split(256):
        found.append(model.embed_images(pictures.seen(rows, None)) @ texts.T)
    both = torch.stack([torch.cat(found).ravel(), -pictures.away.clamp(max=1).ravel()])
    return float(torch.corrcoef(both)[0, 1])


def main() -> None:
    """Draw, train, measure on poses never seen, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "robots",
        nargs="+",
        help="files or names of robots to learn from; one named twice counts so",
    )
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
    scores, even = {}, {}
    every = {m.name: m for m in [*models, *(RobotModel.load(robot) for robot in args.held_out)]}
    for name, m in every.items():
        fresh = draw(m, pose_names(m), 800, args.seed + 1000)
        scores[name], even[name] = accuracy(encoder, fresh), evenness(encoder, fresh)
        print(
            f"{name}: {scores[name]:.3f} of held-out pictures get their own caption; "
            f"similarity and nearness correlate by {even[name]:.3f}"
        )
    encoder.about = {
        "held_out_accuracy": scores,
        "correlation_with_nearness": even,
        "captions": {m.name: s.words for m, s in zip(models, sets, strict=True)},
        "settings": {k: getattr(args, k) for k in ("pictures", "steps", "batch", "seed")},
        "cpu_s": round(time.process_time() - began),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    encoder.save(args.out)
    print(f"written: {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
