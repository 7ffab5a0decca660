"""Run the demonstration and write its results."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drrobot_ros.demo import analysis, pictures
from drrobot_ros.demo.config import DemoConfig
from drrobot_ros.demo.recording import Recording
from drrobot_ros.demo.report import joint_line, report, write_report
from drrobot_ros.demo.scenario import REST_S, Scenario, make_scenario, make_session
from drrobot_ros.demo.session import Session, run_session
from drrobot_ros.geometry.pose_numbers import pose_from_numbers
from drrobot_ros.media import VideoWriter, write_image
from drrobot_ros.splats import GaussianRobot

SPOOLS = ("images.rgb", "overlays.rgb")
#: What the terminal says after an event.
STAGES = {
    "ready": "starting the estimator",
    "first estimate": "the arm rests",
    "motion start": "the arm moves",
}
_AFTER_S = 0.5


def show(config: DemoConfig) -> tuple[list[Path], bool]:
    """Run the demonstration.

    Returns:
        The files written, and whether the arm was found.

    Raises:
        BackendError: ROS or a robot is not installed.
        ProcessError: a node died.
    """
    torch.set_num_threads(1)  # the C++ kernels have threads of their own
    folder = config.folder
    work = folder / "session"
    print("loading the robot and sampling its surface ...", flush=True)
    scenario = make_scenario(config.robot, config.width, config.height, work)
    gaussians = GaussianRobot.from_model(scenario.model)
    work.mkdir(parents=True, exist_ok=True)
    splats = work / "splats.npz"
    gaussians.save(splats)
    session = make_session(config, scenario, splats)
    recording = _record(session, work, config)
    start, end = recording.spans("motion")[0]
    tracking = analysis.tracking(recording, (start, end))
    columns = [recording.joint_names.index(n) for n in scenario.model.joint_names]
    first_s = float(recording.estimate_stamp[0])
    found_s = analysis.convergence_s(recording, first_s, columns, start)
    files = [folder / "overlay.png", folder / "report.md"]
    text = report(config, scenario.model.name, tracking, found_s)
    write_report(files[1], text)
    shown = _shown(recording, work, scenario, gaussians, session, columns)
    write_image(files[0], pictures.picture(shown, start - 0.2))
    if config.video:
        files.insert(1, folder / "overlay.mp4")
        _write_video(files[1], shown, end + _AFTER_S)
    for name in SPOOLS:
        (work / name).unlink(missing_ok=True)
    print(f"\n{text[text.index('| while') :]}")
    print(joint_line(tracking))
    return files, found_s is not None


def _record(session: Session, folder: Path, config: DemoConfig) -> Recording:
    from tqdm import tqdm

    begin: dict[str, float] = {}
    with tqdm(
        total=REST_S + config.seconds + _AFTER_S,
        desc="starting the nodes",
        bar_format="{desc}{bar} {n:.0f}/{total:.0f} s",
        disable=None,  # where nobody watches
    ) as bar:

        def progress(event: str) -> None:
            if event in STAGES:
                bar.set_description(STAGES[event])
            if event == "first estimate":
                begin["time"] = time.monotonic()
            if begin:
                bar.n = min(bar.total, time.monotonic() - begin["time"])
                bar.refresh()

        return run_session(session, folder, progress)


def _shown(
    recording: Recording,
    folder: Path,
    scenario: Scenario,
    gaussians: Any,
    session: Session,
    columns: list[int],
) -> pictures.Shown:
    return pictures.Shown(
        recording=recording,
        folder=folder,
        model=scenario.model,
        gaussians=gaussians,
        camera=scenario.camera,
        q_start=np.asarray(session.estimator["initial_joint_positions"]),
        T_start=pose_from_numbers(session.estimator["initial_camera_pose"]),
        columns=columns,
    )


def _write_video(path: Path, shown: pictures.Shown, until_s: float) -> None:
    from tqdm import tqdm

    total = pictures.frame_count(shown, until_s)
    with VideoWriter(path, pictures.VIDEO_HZ) as video:
        for image in tqdm(pictures.frames(shown, until_s), total=total, desc="video", disable=None):
            video.add(image)
