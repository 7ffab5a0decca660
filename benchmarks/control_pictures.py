"""Pictures of visual control for ``docs/images``: what was wanted, and what was found.

python benchmarks/control_pictures.py
"""

import sys

import numpy as np
import torch
from common import ROOT
from control_scenes import Scene, make_scene
from control_tracks import CONFIG, RATE_HZ, motion_of, reproduce, surface_tracks
from PIL import Image

from drrobot_ros.control.goals import PictureGoal, TracksGoal, VideoGoal
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.plan_pictures import picture_of, tracks_picture
from drrobot_ros.control.planning import PlanRequest
from drrobot_ros.control.video import VideoMotion
from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.rendering.robot import render_robot

FOLDER = ROOT / "docs" / "images"


def save(name: str, rows: list[list[np.ndarray]], width: int = 300) -> None:
    """Write pictures side by side, rows below each other."""
    height = round(width * rows[0][0].shape[0] / rows[0][0].shape[1])
    small = [
        [
            np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.LANCZOS))
            for x in r
        ]
        for r in rows
    ]
    sheet = np.concatenate([np.concatenate(row, 1) for row in small])
    Image.fromarray(sheet).save(FOLDER / name, quality=85)
    print(f"written: {FOLDER / name}")


def image_sheet(scene: Scene) -> None:
    """Start, goal picture, goal picture with the robot as found."""
    rng, rows = np.random.default_rng(3), []
    limits = scene.planner.gate.limits
    for off in (30, 60):
        goal = scene.random_pose(rng, 0.5, np.radians(off))
        turn = np.where(scene.arm, np.radians(off) * rng.choice([-1, 1], scene.model.nq), 0)
        start = np.clip(goal + turn, limits.lower, limits.upper)
        picture = scene.simulation.render(goal, truth=False).rgb
        config = PlanConfig(budget_s=0.0, start_spread=off / 60, self_collision=0.0)
        request = PlanRequest(
            [PictureGoal(picture)], start, [scene.view], scene.free_joints, config
        )
        plan = scene.planner.plan(request)
        error = np.degrees(np.abs(plan.q[0] - goal))[scene.arm].max()
        print(f"picture, {off} deg off: worst joint {error:.2f} deg")
        rows.append([plan.pictures[k] for k in ("start", "goal", "overlay")])
    save("control_image.jpg", rows)


def tracks_sheet(scene: Scene) -> None:
    """Tracks and what follows them: the same robot, and one of other proportions."""
    errors, plan, tracks = reproduce(scene, 0)
    print(f"tracks: median {np.median(errors):.2f} deg")
    last = scene.simulation.render(motion_of(scene, 0)[-1], truth=False).rgb
    seen = tracks_picture(last, tracks.tracks[:, tracks.seen[-1]][:, ::4])
    other = make_scene("xArm7", 640, 480)
    goal = TracksGoal(surface_tracks(scene, motion_of(scene, 0, 0.6)), correspondence="chamfer")
    moved = other.planner.plan(
        PlanRequest([goal], other.home, [other.view], other.free_joints, CONFIG)
    )
    few = goal.tracks.only(np.arange(0, goal.tracks.tracks.shape[1], 12))
    faint = TracksGoal(few, correspondence="chamfer")
    drawn = [
        tracks_picture(picture_of(other.planner, _request(other), q), faint.tracks.tracks[-1:])
        for q in (other.home, moved.q[-1])
    ]
    save("control_tracks.jpg", [[seen, plan.pictures["overlay"]], drawn], 420)
    other.simulation.close()


def video_sheet(scene: Scene) -> None:
    """Images of a video with the robot as read from it."""
    truth = motion_of(scene, 1)
    images = [scene.simulation.render(q, truth=False).rgb for q in truth]
    request = PlanRequest(
        [VideoGoal(images, RATE_HZ)],
        truth[0],
        [scene.view],
        scene.free_joints,
        PlanConfig(budget_s=0.0, self_collision=0.0, start_spread=0.2),
    )
    plan = scene.planner.plan(request)
    details = plan.details
    assert isinstance(details, VideoMotion)
    print(f"video: median {np.degrees(np.median(np.abs(plan.q - truth)[:, scene.arm])):.2f} deg")
    drawn = []
    for t in np.linspace(0, len(images) - 1, 3).astype(int):
        with torch.no_grad():
            rgb, alpha, _ = render_robot(
                scene.model,
                scene.planner.gaussians,
                torch.from_numpy(plan.q[t]),
                details.T_base_camera,
                scene.view.camera,
            )
        drawn.append(overlay_image(images[t], rgb.clamp(0, 1), alpha))
    save("control_video.jpg", [drawn])


def _request(scene: Scene) -> PlanRequest:
    return PlanRequest([], scene.home, [scene.view])


def main() -> int:
    """Make all of them."""
    torch.set_num_threads(1)
    scene = make_scene("Panda", 640, 480)
    image_sheet(scene)
    tracks_sheet(scene)
    video_sheet(scene)
    return 0


if __name__ == "__main__":
    sys.exit(main())
