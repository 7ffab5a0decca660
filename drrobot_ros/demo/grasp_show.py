"""The demonstration of grasping: from an RGB-D image to an object in the air, and its report."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.demo.grasp_cell import GraspDemoConfig, cameras, load_gripper, make_world, waiting
from drrobot_ros.demo.grasp_pictures import depth_picture, draw_grasps
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.execution import GraspOutcome, run_in_world
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.planner import GraspPlan, GraspRefusedError, plan_grasp
from drrobot_ros.grasping.scene import GraspScene
from drrobot_ros.media import VideoWriter, write_image

_VIDEO_HZ, _FASTER = 25.0, 2.0
_MIN_PIXELS = 150


def show(config: GraspDemoConfig) -> tuple[list[Path], bool]:
    """Run the demonstration; return the files that were written and whether the object is held.

    Raises:
        BackendError: no arm model, or no off-screen OpenGL.
        InputError: shapes or an object that are not there.
    """
    gripper = load_gripper(config)
    report = _Report(config.folder)
    with make_world(gripper, config) as world:
        scene = _reconstruct(world, config, report)
        plan = _plan(gripper, scene, config, report)
        if plan is None:
            return report.write(), False
        _draw_plan(world, gripper, plan, config, report)
        outcome = _execute(world, gripper, plan, config, report)
    return report.write(), outcome.held


class _Report:
    """Files and rows of a table."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, []
        self.rows: list[tuple[str, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def picture(self, name: str, image: Any) -> None:
        """Write a picture."""
        path = self.folder / f"{name}.png"
        write_image(path, np.asarray(image))
        self.files.append(path)

    def add(self, what: str, value: str) -> None:
        """Add a row, and print it."""
        self.rows.append((what, value))
        print(f"{what + ':':<34} {value}", flush=True)

    def write(self) -> list[Path]:
        """Write the table; return all files."""
        lines = ["# A grasp from one RGB-D image", "", "| what | value |", "|---|---|"]
        lines += [f"| {what} | {value} |" for what, value in self.rows]
        path = self.folder / "report.md"
        path.write_text("\n".join(lines) + "\n")
        return [*self.files, path]


def _reconstruct(world: Any, config: GraspDemoConfig, report: _Report) -> GraspScene:
    from drrobot_ros.scene import ReconstructionConfig, SceneInput, reconstruct, write_scene
    from drrobot_ros.simulation.depth_noise import (
        DepthNoiseConfig,
        add_color_noise,
        add_depth_noise,
    )

    camera, T = cameras(config)["rgbd"]
    frame = world.render(camera, T)
    rng, noise = np.random.default_rng(config.seed), DepthNoiseConfig()
    depth = add_depth_noise(frame.depth_m, camera, rng, noise)
    color = add_color_noise(frame.rgb, rng, noise)
    report.picture("1_color", color)
    report.picture("2_depth", depth_picture(depth))
    boxes, names = [], []
    for name, mask in frame.masks.items():
        if mask.sum() >= _MIN_PIXELS:
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            names.append(name)
    if not names:
        raise InputError("no object is seen by the camera")

    def watch(stage: str, _: float, pictures: dict[str, Any]) -> None:
        for name, image in pictures.items():
            report.picture(f"3_{stage}_{name}" if name != stage else f"3_{stage}", image)

    start = time.process_time()
    scene = reconstruct(
        SceneInput(color, depth, camera, np.array(boxes, float), tuple(names), T),
        ReconstructionConfig(appearance=config.appearance),
        watch,
    )
    report.add("reconstruction, CPU", f"{time.process_time() - start:.1f} s")
    report.files += write_scene(scene, report.folder / "scene", color).values()
    for thing in scene.objects:
        true = world.solid_pose(thing.name)
        own = next(s for s in world.solids if s.name == thing.name)
        points = own.look[0] @ true[:3, :3].T + true[:3, 3]
        found = thing.scene_vertices()
        off = (found.min(0) + found.max(0) - points.min(0) - points.max(0)) / 2
        report.add(
            f"{thing.name}",
            f"confidence {thing.confidence:.2f}, middle {1e3 * np.linalg.norm(off):.1f} mm off",
        )
    return GraspScene.of(scene)


def _plan(
    gripper: Gripper, scene: GraspScene, config: GraspDemoConfig, report: _Report
) -> GraspPlan | None:
    names = [config.object] if config.object else [o.name for o in scene.objects]
    q, plans = waiting(gripper, config), []
    start = time.process_time()
    for name in names:
        try:
            plans.append(plan_grasp(gripper, scene, name, q, GraspConfig()))
        except GraspRefusedError as error:
            report.add(f"{name}: no grasp", str(error))
    report.add("planning, CPU", f"{time.process_time() - start:.1f} s for {len(names)} objects")
    if not plans:
        return None
    plan = max(plans, key=lambda p: p.score * (p.trial.score if p.trial else 1.0))
    held = sum(plan.trial.held) if plan.trial else 0
    report.add("chosen", f"{plan.target}, {1e3 * plan.width_m:.0f} mm wide, score {plan.score:.2f}")
    if plan.trial is not None:
        report.add("held in trials", f"{held} of {len(plan.trial.held)}")
    return plan


def _draw_plan(
    world: Any, gripper: Gripper, plan: GraspPlan, config: GraspDemoConfig, report: _Report
) -> None:
    camera, T = cameras(config)["rgbd"]
    image = world.render(camera, T, truth=False).rgb
    drawn = draw_grasps(
        image, camera, T, gripper, plan.considered, plan.T_base_tool, plan.gap_m
    )  # fmt: skip
    report.picture("4_grasps", drawn)


def _execute(
    world: Any, gripper: Gripper, plan: GraspPlan, config: GraspDemoConfig, report: _Report
) -> GraspOutcome:
    camera, T = cameras(config)["watching"]
    path = report.folder / "grasp.mp4"
    video = VideoWriter(path, _VIDEO_HZ) if config.video else None
    state = {"phase": "", "next": world.time_s}

    def each(phase: str, time_s: float) -> None:
        if state["phase"] and phase != state["phase"]:
            report.picture(f"5_after_{state['phase']}", world.render(camera, T, truth=False).rgb)
        state["phase"] = phase
        if video is not None and time_s >= state["next"]:
            state["next"] = time_s + _FASTER / _VIDEO_HZ
            video.add(world.render(camera, T, truth=False).rgb)

    try:
        outcome = run_in_world(world, gripper, plan, lift_m=GraspConfig().lift_m, each=each)
    finally:
        if video is not None:
            video.__exit__()
            report.files.append(path)
    report.picture("6_lifted", world.render(camera, T, truth=False).rgb)
    report.add("lifted", f"{1e3 * outcome.lifted_m:.0f} mm")
    report.add("slipped in the hand", f"{1e3 * outcome.slip_m:.1f} mm")
    report.add("held", "yes" if outcome.held else f"no: {outcome.why}")
    return outcome
