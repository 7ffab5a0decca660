"""Motions from tracks and videos: found, cancelled, refused."""

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.goals import JointGoal, TracksGoal, VideoGoal
from drrobot_ros.control.optimizers import StopReason
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import Planner, PlanRequest
from drrobot_ros.control.points.robot_points import visible_points
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.control.track_solver import TrackProblem, TrackWeights, solve_tracks
from drrobot_ros.control.video_generation import VideoGenerator
from drrobot_ros.errors import BackendError, InputError

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])
STEPS = 10
TIMES = np.arange(STEPS) / 20
CONFIG = PlanConfig(budget_s=0.0, self_collision=0.0)


def motion(size: float = 0.3) -> np.ndarray:
    phase = np.arange(6)
    return Q + size * (np.sin(3 * TIMES[:, None] + phase) - np.sin(phase))


@pytest.fixture(scope="module")
def planner(arm, splats) -> Planner:
    return Planner(arm, splats)


@pytest.fixture(scope="module")
def eye(view) -> Viewpoint:
    return Viewpoint(view.camera.scaled(2.0), view.T_base_camera)


@pytest.fixture(scope="module")
def tracks(arm, splats, eye) -> TrackSet:
    """Tracks of the surface in the motion: some begin late, one jumps."""
    points = visible_points(arm, splats, Q, eye, 120)
    pixels, _, _ = points.project(arm, motion(), eye)
    seen = points.visible(arm, splats, motion(), eye)
    seen[:4, ::3] = False
    seen[5, 1::3] = False
    pixels[6:, 4] += 40.0
    return TrackSet(pixels, (256, 192), TIMES, seen)


def test_a_motion_is_reproduced_from_its_tracks(planner, eye, tracks) -> None:
    told = []
    plan = planner.plan(
        PlanRequest([TracksGoal(tracks)], Q, [eye], (), CONFIG),
        lambda p: told.append(p.fraction) or True,
    )
    error = np.degrees(np.abs(plan.q - motion()))
    assert np.median(error) < 1.0 and error.max() < 6
    assert np.array_equal(plan.q[0], Q)
    assert np.array_equal(plan.times_s, TIMES)
    assert plan.details.chamfer_px < 0.3 * plan.details.start_chamfer_px
    assert len(told) > STEPS and max(told) <= 1.0
    assert plan.pictures["overlay"].shape == (192, 256, 3)
    moved = planner.trajectory(plan)
    assert moved.duration_s >= TIMES[-1] and np.allclose(moved.q[-1], plan.q[-1], atol=1e-6)


def test_tracks_without_correspondence_are_followed(planner, arm, splats, eye) -> None:
    points = visible_points(arm, splats, Q, eye, 800)
    pixels, _, _ = points.project(arm, motion(), eye)
    dense = TrackSet(pixels, (256, 192), TIMES, points.visible(arm, splats, motion(), eye))
    goal = TracksGoal(dense, correspondence="chamfer")
    # From a pose of its own, from which the slope alone leads to another pose.
    start = Q + np.array([2.6, 0.6, -0.8, 0.0, 0.0, 0.0])
    plan = planner.plan(PlanRequest([goal], start, [eye], (), CONFIG))
    assert plan.details.chamfer_px < 0.5 * plan.details.start_chamfer_px
    assert plan.details.chamfer_px2 < plan.details.start_chamfer_px2 / 25
    assert plan.cost < plan.start_cost


def test_all_steps_at_once_is_the_minimum(arm, splats, eye) -> None:
    """No small change of any time step lowers the cost."""
    from drrobot_ros.control.limits import MotionLimits

    points = visible_points(arm, splats, Q, eye, 40)
    pixels, _, _ = points.project(arm, motion(), eye)
    pixels += np.random.default_rng(0).normal(0, 1.0, pixels.shape)
    problem = TrackProblem(
        arm, points, pixels, eye, TIMES, MotionLimits.of(arm), np.ones(6, bool), True,
        weights=TrackWeights(1e-3, 1e-3, 4.0, True),
    )  # fmt: skip
    start = np.tile(Q, (STEPS, 1))
    found = solve_tracks(problem, start, 60)
    assert found.stop_reason is StopReason.CONVERGED
    rng = np.random.default_rng(1)
    for _ in range(10):
        aside = found.q + 3e-3 * rng.normal(size=found.q.shape)
        assert solve_tracks(problem, aside, 0, anchor=start).cost > found.cost
    held = np.array([True, False, True, True, True, True])
    import dataclasses

    part = solve_tracks(dataclasses.replace(problem, free=held), start, 20)
    assert np.array_equal(part.q[:, 1], start[:, 1])


def test_adam_and_other_goals_join_in(planner, arm, eye, tracks) -> None:
    config = PlanConfig(budget_s=0.0, self_collision=0.0, iterations=40, starts=1)
    goals = [TracksGoal(tracks), JointGoal(motion()[-1] + 0.1, 50.0)]
    plan = planner.plan(PlanRequest(goals, Q, [eye], (), config))
    assert plan.q.shape == (STEPS, 6)
    assert np.abs(plan.q[-1] - motion()[-1] - 0.1).max() < 0.08
    assert np.degrees(np.median(np.abs(plan.q[:-2] - motion()[:-2]))) < 3


def test_it_stops_when_told(planner, eye, tracks) -> None:
    for last in (1, 5, 14):
        steps = []
        plan = planner.plan(
            PlanRequest([TracksGoal(tracks)], Q, [eye], (), CONFIG),
            lambda p, steps=steps, last=last: steps.append(p) or len(steps) < last,
        )
        assert plan.stop_reason is StopReason.CANCELED and len(steps) == last
        assert plan.q.shape == (STEPS, 6) and np.isfinite(plan.q).all()


def test_tracks_that_do_not_fit_are_refused(planner, eye, view, tracks) -> None:
    with pytest.raises(InputError, match="tracks are of 256x192 images, the viewpoint of 128x96"):
        planner.plan(PlanRequest([TracksGoal(tracks)], Q, [view], (), CONFIG))
    away = TrackSet(np.full((3, 4, 2), 2.0), (256, 192))
    with pytest.raises(InputError, match="none of the 4 tracks begins on a moving part"):
        planner.plan(PlanRequest([TracksGoal(away)], Q, [eye], (), CONFIG))
    with pytest.raises(InputError, match="at most one goal may be a motion"):
        planner.plan(PlanRequest([TracksGoal(tracks)] * 2, Q, [eye], (), CONFIG))
    with pytest.raises(InputError, match="unknown correspondence"):
        TracksGoal(tracks, correspondence="none")


def frames(arm, splats, eye, q: np.ndarray) -> list[np.ndarray]:
    """Images of the arm before a wall with a pattern."""
    height, width = eye.camera.height, eye.camera.width
    y, x = np.mgrid[:height, :width]
    wall = 0.55 + 0.1 * np.sin(x / 9.0) * np.cos(y / 7.0)
    images = []
    for row in q:
        with torch.no_grad():
            seen = Candidate(
                arm, splats, torch.from_numpy(row)[None],
                (Viewpoint(eye.camera, eye.T_base_camera, (0.0, 0.0, 0.0)),),
            ).render(0, 0)  # fmt: skip
        image = seen.rgb.numpy() + (1 - seen.alpha.numpy()[..., None]) * wall[..., None]
        images.append((255 * image.clip(0, 1)).astype(np.uint8))
    return images


def test_a_video_is_read(planner, arm, splats, eye) -> None:
    images = frames(arm, splats, eye, motion(0.15))
    moved = eye.T_base_camera.copy()
    moved[:3, 3] += [0.01, -0.01, 0.01]
    plan = planner.plan(
        PlanRequest(
            [VideoGoal(images, 20.0)],
            Q + 0.05,
            [Viewpoint(eye.camera, moved)],
            (),
            PlanConfig(budget_s=0.0, self_collision=0.0, start_spread=0.1),
        )
    )
    error = np.degrees(np.abs(plan.q - motion(0.15)))
    assert np.median(error[:, :5]) < 2.5
    assert plan.details.agreement > 0.7
    assert {"start", "goal", "result", "overlay"} <= set(plan.pictures)
    told = []
    plan = planner.plan(
        PlanRequest([VideoGoal(images, 20.0)], Q, [eye], (), CONFIG),
        lambda p: told.append(p) or len(told) < 3,
    )
    assert plan.stop_reason is StopReason.CANCELED and len(told) == 3


def test_videos_that_do_not_fit_are_refused(planner, eye) -> None:
    empty = np.full((192, 256, 3), 120, np.uint8)
    with pytest.raises(InputError, match="shows no such robot"):
        planner.plan(PlanRequest([VideoGoal([empty] * 14, 20.0)], Q, [eye], (), CONFIG))
    with pytest.raises(InputError, match="the video is 128x96, the viewpoint 256x192"):
        planner.plan(PlanRequest([VideoGoal([empty[::2, ::2]] * 3, 20.0)], Q, [eye], (), CONFIG))
    with pytest.raises(InputError, match="image 1 of the video is"):
        VideoGoal([empty, empty[:100]], 20.0)
    with pytest.raises(InputError, match="at least two images"):
        VideoGoal([empty], 20.0)
    with pytest.raises(InputError, match="rate must be positive"):
        VideoGoal([empty, empty], 0.0)


class StandIn:
    """Acts like an image-to-video pipeline of `diffusers`: the picture slides to the right."""

    def __call__(self, image, prompt, num_frames, generator, **_):
        from PIL import Image

        self.prompt = prompt
        array = np.asarray(image)
        made = [Image.fromarray(np.roll(array, 2 * i, axis=1)) for i in range(num_frames)]
        small = [frame.resize((64, 48)) for frame in made]  # as pipelines like their own sizes
        return type("Output", (), {"frames": [small]})()


def test_videos_are_generated_by_a_pipeline(tmp_path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    pipeline = StandIn()
    images = VideoGenerator(None, pipeline=pipeline).generate(picture, " wave  twice ", 5)
    assert len(images) == 5 and all(i.shape == (96, 128, 3) for i in images)
    assert pipeline.prompt == "wave twice"
    with pytest.raises(InputError, match="prompt is empty"):
        VideoGenerator(None, pipeline=pipeline).generate(picture, "  ")
    with pytest.raises(BackendError, match=r"no model_index.json.*pip install diffusers"):
        VideoGenerator(tmp_path)
    with pytest.raises(BackendError, match="pipeline failed"):
        VideoGenerator(None, pipeline=lambda **_: None).generate(picture, "wave")
