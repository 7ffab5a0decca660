"""Videos of moving arms in hard settings, rendered once and kept.

Each setting changes one thing against the plain room. Arms have seven joints; truth is exact.
"""

import dataclasses
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import ROOT

from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import (
    ExposureConfig,
    Frame,
    RenderedVideo,
    SceneConfig,
    SimulatedRobot,
    SinusoidMotion,
    expose,
)

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
EYE, AIM = (1.35, -0.75, 0.8), (0.12, 0.0, 0.4)
RATE_HZ = 30
FRAMES = 60
CACHE = Path(__file__).resolve().parent / "out" / "tracking"
#: videos of a setting: robot and seed
VIDEOS = (("Panda", 0), ("Panda", 1), ("Panda", 2), ("xArm7", 0), ("xArm7", 1))
ROBOTS = {
    "Panda": ("franka_emika_panda/panda.xml", [0, -0.3, 0, -2.0, 0, 1.9, 0.78, 0.04]),
    "xArm7": ("ufactory_xarm7/xarm7_nohand.xml", [0, -0.4, 0, 0.9, 0, 1.2, 0]),
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What makes a video hard: scene, sensor, camera, speed, and what else moves.

    Attributes:
        scene: surroundings, light and noise.
        exposure: shutter and readout.
        eye: where the camera is, base frame, m.
        aim: what it looks at, m.
        period_s: of the slowest joint; short is fast.
        depth: keep depth images, which are large.
        before: called before each image with the robot, time and seed.
    """

    scene: SceneConfig = dataclasses.field(default_factory=SceneConfig)
    exposure: ExposureConfig = dataclasses.field(default_factory=ExposureConfig)
    eye: tuple[float, float, float] = EYE
    aim: tuple[float, float, float] = AIM
    period_s: float = 6.0
    depth: bool = False
    before: Callable[[SimulatedRobot, float, int], None] | None = None


def flicker(robot: SimulatedRobot, time_s: float, seed: int) -> None:
    """A lamp that beats with the frame rate, and changes colour slowly."""
    beat = 1 + 0.3 * np.sin(2 * np.pi * 7.3 * time_s + seed)
    slow = 1 + 0.15 * np.sin(2 * np.pi * 0.5 * time_s + np.array([0.0, 1.0, 2.0]))
    robot.set_light(beat * slow)


def passing_box(robot: SimulatedRobot, time_s: float, seed: int) -> None:
    """A box carried past the arm, in front of it, hiding up to a quarter of it."""
    T = look_at(EYE, AIM)
    share = time_s * RATE_HZ / FRAMES
    side = -1.0 if seed % 2 else 1.0
    at = [side * 0.45 * (1 - 2 * share), 0.05 * np.sin(3 * time_s) - 0.08 + 0.04 * seed, 0.95]
    T[:3, 3] = T[:3, :3] @ np.array(at) + T[:3, 3]
    turn = np.array([[np.cos(time_s), -np.sin(time_s), 0], [np.sin(time_s), np.cos(time_s), 0]])
    T[:3, :2] = T[:3, :3] @ np.column_stack([turn[0], turn[1]])
    robot.set_occluder(0, T)


def walking_person(robot: SimulatedRobot, time_s: float, seed: int) -> None:
    """Somebody who walks by behind the arm, close to it."""
    side = -1.0 if seed % 2 else 1.0
    along = side * (-1.1 + 1.1 * time_s)
    # Across the view, half a metre behind the base.
    robot.set_person(np.array([-0.5, 0.3]) + along * np.array([0.49, 0.87]), side * 1.06)


SETTINGS = {
    "plain room": Setting(),
    "side light": Setting(
        SceneConfig(ambient=0.25, headlight=0.0, lamp=0.9, lamp_azimuth_rad=1.7, gloss=0.6)
    ),
    "dim and tinted": Setting(SceneConfig(brightness=0.35, warmth=0.8)),
    "flicker": Setting(before=flicker),
    "clutter": Setting(SceneConfig(background="clutter")),
    "moving box in front": Setting(SceneConfig(occluders=1), depth=True, before=passing_box),
    "person walking by": Setting(SceneConfig(person=True), before=walking_person),
    "second robot": Setting(SceneConfig(second_robot=True)),
    "motion blur": Setting(exposure=ExposureConfig(shutter_s=0.03, samples=6), period_s=3.0),
    "noise": Setting(SceneConfig(noise=0.08)),
    "rolling exposure": Setting(exposure=ExposureConfig(readout_s=0.03, samples=8), period_s=3.0),
    "cut-off view": Setting(eye=(1.0, -0.5, 0.7), aim=(0.15, 0.2, 0.22)),
    "white before white": Setting(SceneConfig(background="plain", background_grey=0.8)),
}


def menagerie() -> Path:
    """Return the folder of the Menagerie's robots."""
    import os

    named = os.environ.get("DRROBOT_MENAGERIE")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def arms() -> dict[str, tuple[RobotModel, np.ndarray]]:
    """Return the robots at hand and a pose around which each moves."""
    found = {}
    for name, (file, center) in ROBOTS.items():
        path = menagerie() / file
        if path.is_file():
            found[name] = (RobotModel.load(path), np.array(center))
        else:
            print(f"{name}: left out, no file {path}; set DRROBOT_MENAGERIE")
    return found


def video(
    name: str, model: RobotModel, center: np.ndarray, setting: str, seed: int
) -> RenderedVideo:
    """Return a video with its truth, from the cache if it was rendered before."""
    chosen = SETTINGS[setting]
    hook = "" if chosen.before is None else inspect.getsource(chosen.before)
    plain = dataclasses.replace(chosen, before=None)
    key = repr((name, center.tolist(), plain, hook, seed, FRAMES, CAMERA.K.tolist()))
    path = CACHE / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"
    if path.is_file():
        return RenderedVideo.load(path)
    rendered = render(model, center, chosen, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    rendered.save(path)
    return rendered


def render(model: RobotModel, center: np.ndarray, chosen: Setting, seed: int) -> RenderedVideo:
    """Render one video."""
    scene = dataclasses.replace(
        chosen.scene, seed=seed, shadow_map_px=512, coarseness_m=0.003, samples=2
    )
    motion = SinusoidMotion(
        model, amplitude=0.4, period_s=chosen.period_s, seed=seed, center=center
    )
    other = SinusoidMotion(model, amplitude=0.4, seed=seed + 100, center=center)
    robot = SimulatedRobot(model, CAMERA, look_at(chosen.eye, chosen.aim), scene)

    def draw(time_s: float) -> Frame:
        if chosen.before is not None:
            chosen.before(robot, time_s, seed)
        second = np.asarray(other(time_s)) if scene.second_robot else None
        return robot.render(np.asarray(motion(time_s)), second_q=second)

    frames = [expose(draw, i / RATE_HZ, chosen.exposure) for i in range(FRAMES)]
    robot.close()
    return RenderedVideo(
        CAMERA,
        float(RATE_HZ),
        np.stack([f.rgb for f in frames]),
        np.stack([f.q for f in frames]),
        np.stack([f.T_base_camera for f in frames]),
        np.stack([f.depth_m for f in frames if f.depth_m is not None]) if chosen.depth else None,
        np.stack([f.mask for f in frames if f.mask is not None]),
    )
