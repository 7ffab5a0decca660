"""Sentences: named poses, the project's own text-image model, and the objective made of it."""

import types

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.goals import SentenceGoal
from drrobot_ros.control.objectives.text import TextSimilarity
from drrobot_ros.control.optimizers import Progress, StopReason
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import Planner, PlanRequest
from drrobot_ros.control.text.captions import ArmPoses, HandPoses, pose_names
from drrobot_ros.control.text.encoder import check_prompt, load_encoder
from drrobot_ros.control.text.fit_small import accuracy, alignment, draw, evenness, train
from drrobot_ros.control.text.hub import OpenClipEncoder, TransformersEncoder
from drrobot_ros.control.text.light import LitRobot
from drrobot_ros.control.text.posing import PosingConfig, pose_from_text
from drrobot_ros.control.text.small import SmallEncoder
from drrobot_ros.errors import InputError


@pytest.fixture(scope="module")
def own() -> SmallEncoder:
    encoder = load_encoder()
    assert isinstance(encoder, SmallEncoder)
    return encoder


class Brightness:
    """An encoder one can calculate by hand: left brightness against right brightness."""

    name, image_size = "brightness", 8

    def embed_texts(self, texts) -> torch.Tensor:
        return torch.stack([torch.tensor([1.0, 0.0] if "left" in t else [0.0, 1.0]) for t in texts])

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        dark = 1 - images.mean(1)
        return torch.stack([dark[:, :, :4].mean((1, 2)), dark[:, :, 4:].mean((1, 2))], -1)


@pytest.mark.parametrize("name", ["six_axis_arm", "universal_robots_ur5e", "shadow_hand"])
def test_sampled_poses_fit_their_names(robot, name: str) -> None:
    model = robot(name)
    names = pose_names(model)
    assert isinstance(names, HandPoses if name == "shadow_hand" else ArmPoses)
    random = np.random.default_rng(0)
    right = []
    for k in range(len(names.captions)):
        for _ in range(5):
            q = names.sample(random, k)
            assert (q >= model.lower - 1e-9).all() and (q <= model.upper + 1e-9).all()
            fits = names.fits(q)
            assert fits.shape == (len(names.captions),)
            assert (fits >= 0).all() and (fits <= 1).all()
            right.append(fits.argmax() == k)
    assert np.mean(right) > 0.9


def test_a_hands_names_mean_what_they_say(robot) -> None:
    names = HandPoses(robot("shadow_hand"))
    flat = np.asarray(names._model.neutral())
    assert names.captions[int(names.fits(flat).argmax())].name == "an open hand"
    fist = np.maximum(names._model.upper, 0) * [
        0,
        0,
        *[0, 1, 1, 1] * 3,
        *[1, 0, 1, 1, 1],
        *[0, 1, 0, 1, 1],
    ]
    assert names.captions[int(names.fits(fist).argmax())].name == "a fist"
    # One finger is a fifth of the way; fingers spread or a bent wrist are no part of any caption.
    away = names.distances(fist)
    assert away[1] < 0.01 and 0.15 < away[2] < 0.25 and away[0] > 0.9
    odd = fist.copy()
    odd[[0, 1, 2, 6]] = names._model.lower[[0, 1, 2, 6]]
    assert (names.distances(odd) > away + 0.05).all()
    with pytest.raises(InputError, match="named after its thumb"):
        HandPoses(robot("six_axis_arm"))


def test_other_poses_are_of_all_kinds(robot) -> None:
    names = HandPoses(robot("shadow_hand"))
    random = np.random.default_rng(0)
    nearest = [names.distances(names.sample(random, None)).min() for _ in range(200)]
    assert np.quantile(nearest, 0.1) < 0.15 and np.quantile(nearest, 0.9) > 0.3


def test_an_arms_names_mean_what_they_say(robot) -> None:
    model = robot("universal_robots_ur5e")
    names = ArmPoses(model)
    up = np.array([0.0, -np.pi / 2, 0.0, -np.pi / 2, 0.0, 0.0])
    assert names.captions[int(names.fits(up).argmax())].name == "the arm up"
    left = names.sample(
        np.random.default_rng(0), [c.name for c in names.captions].index("reaching left")
    )
    tip = model.forward_kinematics(torch.from_numpy(left))[-1, :3, 3]
    assert tip[1] > 0.5 and abs(tip[0]) < 0.5
    hook = names.sample(np.random.default_rng(0), 8)
    T = model.forward_kinematics(torch.from_numpy(hook))[:, :3, 3]
    assert names.captions[8].name == "bent to the left like a hook"
    assert T[-1, 1] > 0.2 and T[:, 2].max() - T[-1, 2] > 0.25
    through = up.copy()
    through[1] = np.pi / 2  # straight down, through the table
    assert (names.distances(through) > 0.5).all()


def test_the_own_model_knows_poses_it_never_saw(own, robot) -> None:
    model = robot("six_axis_arm")
    pictures = draw(model, pose_names(model), 120, seed=77)
    assert accuracy(own, pictures) > 0.75
    assert own.about["held_out_accuracy"]
    shuffled = SmallEncoder()
    assert accuracy(shuffled.eval(), pictures) < 0.4


def test_training_lowers_the_loss(robot) -> None:
    model = robot("six_axis_arm")
    pictures = draw(model, pose_names(model), 64, seed=1)
    assert pictures.images.shape == (64, 3, 64, 64)
    assert pictures.away.shape == (64, 10)

    @torch.no_grad()
    def loss(encoder: SmallEncoder) -> float:
        texts = encoder.embed_texts([words[0] for words in pictures.words])
        images = encoder.embed_images(pictures.seen(torch.arange(64), None))
        return float(alignment(encoder, images, texts, pictures.away))

    torch.manual_seed(0)
    before, trained = loss(SmallEncoder().eval()), train([pictures], 30, 32, seed=0)
    after = loss(trained)
    assert after < before - 0.1
    assert evenness(trained, pictures) > 0.3


def test_every_tower_has_a_say() -> None:
    torch.manual_seed(0)
    encoder = SmallEncoder(width=16, dim=32).eval()
    images, texts = torch.rand(2, 3, 64, 64), encoder.embed_texts(["up", "left"])
    found = encoder.embed_images(images)
    assert torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.allclose(texts.norm(dim=1), torch.ones(2), atol=1e-5)
    one, other = (
        2 * (x @ t.T) for x, t in zip(found.chunk(2, -1), texts.chunk(2, -1), strict=True)
    )
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(found @ texts.T, (one + other) / 2, atol=1e-6)


def test_files_round_trip_and_bad_ones_are_refused(tmp_path) -> None:
    torch.manual_seed(0)
    model = SmallEncoder(width=16, dim=32, about={"note": 1}).eval()
    path = tmp_path / "m.npz"
    model.save(path)
    again = SmallEncoder.load(path)
    images = torch.rand(2, 3, 64, 64)
    assert torch.allclose(again.embed_images(images), model.embed_images(images), atol=5e-3)
    assert torch.allclose(again.embed_texts(["up"]), model.embed_texts(["up"]), atol=5e-3)
    assert again.about == {"note": 1}
    path.write_bytes(b"not an archive")
    with pytest.raises(InputError, match="no text-image model of this project"):
        SmallEncoder.load(path)
    np.savez(path, head=np.array([object()], dtype=object))
    with pytest.raises(InputError, match="no text-image model"):
        SmallEncoder.load(path)
    with pytest.raises(InputError, match=r"images must be \[n, 3, 64, 64\]"):
        model.embed_images(torch.rand(1, 3, 32, 32))


def test_similarity_is_the_mean_of_the_views_and_has_gradients(arm, splats, view) -> None:
    q = torch.tensor([[0.6, -0.5, 0.8, 0.2, 0.6, -0.4]], dtype=torch.float64)
    goal = TextSimilarity(Brightness(), "look left", crops=0)

    def at(x: torch.Tensor) -> Candidate:
        return Candidate(arm, splats, x, (view, view))

    x = q.clone().requires_grad_()
    cost = goal(at(x))
    (gradient,) = torch.autograd.grad(cost.sum(), x)
    assert float(cost) == pytest.approx(-float(goal.similarity(at(q))), abs=1e-6)
    direction = torch.tensor([1.0, 0.3, -0.2, 0, 0, 0], dtype=torch.float64)
    ends = [float(goal(at(q + s * 0.01 * direction)).sum()) for s in (1, -1)]
    expected = (ends[0] - ends[1]) / 0.02
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.2)
    both = TextSimilarity(Brightness(), "look left", negative=["right"], crops=0)
    assert float(both(at(q))) > float(cost)
    crops = TextSimilarity(Brightness(), "look left", crops=2, seed=1)
    again = TextSimilarity(Brightness(), "look left", crops=2, seed=1)
    assert float(crops(at(q))) == float(again(at(q))) != float(cost)


def test_an_arm_is_led_to_a_prompt(own, arm, splats, arm_limits) -> None:
    names = ArmPoses(arm)
    config = PosingConfig(pool=60, rounds=2, iterations=6, descents=1)
    start = np.array([0.0, -0.2, 1.4, 0.0, 0.8, 0.0])
    shares = []

    def watch(progress: Progress) -> bool:
        shares.append(progress.fraction)
        return True

    found = pose_from_text(
        arm, splats, own, "reaching left", start, arm_limits, config=config, watcher=watch
    )
    assert found.terms["text"] < found.start_terms["text"] - 0.4
    k = [c.name for c in names.captions].index("reaching left")
    assert names.distances(found.q[0])[k] < 0.25 < names.distances(start)[k]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    again = pose_from_text(arm, splats, own, "reaching left", start, arm_limits, config=config)
    assert np.array_equal(found.q, again.q)


def test_distances_count_beside_a_sentence(own, arm, splats) -> None:
    planner = Planner(arm, splats, None, own)
    start = np.array([0.0, -0.2, 1.4, 0.0, 0.8, 0.0])
    for weight, told in ((0.01, True), (0.0, False)):
        config = PlanConfig(budget_s=0.5, self_collision=weight, obstacles=0.0)
        request = PlanRequest([SentenceGoal("reaching left")], start, config=config)
        plan = planner.plan(request, lambda _: False)
        assert ("self collision" in plan.terms) == told


def test_posing_stops_when_told(own, arm, splats, arm_limits) -> None:
    start = np.zeros(6)
    found = pose_from_text(
        arm, splats, own, "reaching left", start, arm_limits, watcher=lambda progress: False
    )
    assert found.stop_reason is StopReason.CANCELED
    assert found.time_s < 5
    arm_limits.check_position(found.q[0], "found")
    with pytest.raises(InputError, match="prompt"):
        pose_from_text(arm, splats, own, " ", start, arm_limits)


def test_black_robots_are_lit(arm, splats, view) -> None:
    import dataclasses

    black = LitRobot(dataclasses.replace(splats, colors=torch.full_like(splats.colors, 0.02)))
    q = torch.zeros(1, 6, dtype=torch.float64)
    seen = Candidate(arm, black, q, (view,)).render(0, 0)
    own = seen.rgb[seen.alpha > 0.95]
    assert 0.2 < float(own.mean()) < 0.9
    assert float(own.std()) > 0.05  # shades tell the shape
    assert torch.equal(LitRobot(splats, (0.8, 0.6, 0.5)).colors[0], torch.tensor([0.8, 0.6, 0.5]))
    assert black.link_names == splats.link_names


def test_bad_prompts_and_models_are_refused(own, arm, splats) -> None:
    for prompt in ("", "   ", "x" * 10000, 3):
        with pytest.raises(InputError, match="prompt"):
            check_prompt(prompt)
    assert check_prompt("  thumbs\n up ") == "thumbs up"
    with pytest.raises(InputError, match="crops must not be negative"):
        TextSimilarity(own, "up", crops=-1)
    at = Candidate(arm, splats, torch.zeros(1, 6, dtype=torch.float64))
    with pytest.raises(InputError, match="needs a viewpoint"):
        TextSimilarity(own, "up")(at)
    with pytest.raises(InputError, match="no text-image model is named"):
        load_encoder(" ")
    with pytest.raises(InputError, match=r"knows poses by their names only.*a fist.*real CLIP"):
        TextSimilarity(own, "the giraffe")
    with pytest.raises(InputError, match="open_clip"):
        load_encoder("open_clip:ViT-B-32:weights.pt")


def test_models_of_libraries_get_the_colours_they_were_trained_with() -> None:
    seen = {}

    def features(pixel_values: torch.Tensor) -> types.SimpleNamespace:
        seen["pixels"] = pixel_values
        return types.SimpleNamespace(pooler_output=pixel_values.mean((2, 3)) * 5)

    config = types.SimpleNamespace(
        model_type="siglip", vision_config=types.SimpleNamespace(image_size=16)
    )
    model = torch.nn.Module()
    model.config, model.get_image_features = config, features
    encoder = TransformersEncoder("siglip", model, None)
    assert encoder.image_size == 16
    found = encoder.embed_images(torch.full((1, 3, 16, 16), 0.75))
    assert torch.allclose(seen["pixels"], torch.full((1, 3, 16, 16), 0.5))
    assert float(found.norm()) == pytest.approx(1)
    clip = torch.nn.Module()
    clip.visual = types.SimpleNamespace(image_size=(16, 16))
    clip.encode_image = lambda x: x.mean((2, 3))
    wrapped = OpenClipEncoder("c", clip, None, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert torch.allclose(wrapped.embed_images(torch.full((1, 3, 16, 16), 0.75)), found)
