"""Run the demonstration of control by sight and write its results."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.demo import drawing
from drrobot_ros.demo.control_config import ControlDemoConfig
from drrobot_ros.demo.control_scenario import (
    STAGES,
    ControlScenario,
    make_control_scenario,
    make_control_session,
)
from drrobot_ros.demo.pictures import Shown
from drrobot_ros.demo.recording import Recording
from drrobot_ros.demo.report import write_report
from drrobot_ros.demo.scenario import make_scenario
from drrobot_ros.demo.session import run_session
from drrobot_ros.demo.show import SPOOLS
from drrobot_ros.media import VideoWriter, write_image
from drrobot_ros.splats import GaussianRobot

Image = NDArray[np.uint8]

VIDEO_HZ = 15.0
#: The floor: so near, by the truth, the closed loop has to end.
FLOOR_DEG = 0.7
_REST_S = 0.9


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A recorded session and what its pictures need."""

    scenario: ControlScenario
    recording: Recording
    shown: Shown

    def error_deg(self, time_s: float) -> NDArray[np.float64]:
        """Return how far each joint truly was from its goal at a time [J]."""
        row = int(np.argmin(np.abs(self.recording.truth_stamp - time_s)))
        q = self.recording.truth[row][self.shown.columns]
        return np.abs(np.rad2deg(q - self.scenario.goal))


def show_control(config: ControlDemoConfig) -> tuple[list[Path], bool]:
    """Run the demonstration.

    Returns:
        The files written, and whether the arm ended within the floor.

    Raises:
        BackendError: ROS or a robot is not installed.
        ProcessError: a node died.
    """
    torch.set_num_threads(1)  # the C++ kernels have threads of their own
    folder, work = config.folder, config.folder / "session"
    print("loading the robot, choosing a goal ...", flush=True)
    base = make_scenario(config.robot, config.width, config.height, work)
    gaussians = GaussianRobot.from_model(base.model)
    work.mkdir(parents=True, exist_ok=True)
    splats = work / "splats.npz"
    gaussians.save(splats)
    scenario = make_control_scenario(config, base, folder)
    session = make_control_session(config, scenario, splats)

    def told(event: str) -> None:
        name = event.removesuffix(" start")
        if event.endswith(" start") and name in STAGES:
            print(f"to the goal {STAGES[name]} ...", flush=True)

    recording = run_session(session, work, told)
    results = json.loads((work / "results.json").read_text())
    columns = [recording.joint_names.index(n) for n in base.model.joint_names]
    shown = Shown(
        recording=recording,
        folder=work,
        model=base.model,
        gaussians=gaussians,
        camera=base.camera,
        q_start=base.q_start,
        T_start=base.T_base_camera,
        columns=columns,
    )
    seen = _Seen(scenario, recording, shown)
    errors = {name: seen.error_deg(recording.spans(name)[0][1] + _REST_S) for name in STAGES}
    text = _report(config, seen, errors, results)
    files = [folder / "goal.png", folder / "control.png", folder / "report.md"]
    write_report(files[2], text)
    write_image(files[1], _picture(seen, errors))
    if config.video:
        files.append(folder / "control.mp4")
        _write_video(files[-1], seen)
    for name in SPOOLS:
        (work / name).unlink(missing_ok=True)
    print(f"\n{text[text.index('| joint') :]}")
    return files, bool(errors["servo"].max() < FLOOR_DEG)


def _panel(seen: _Seen, time_s: float) -> Image:
    """Return the camera image of a time with the goal drawn over it."""
    stamps = seen.recording.image_stamp
    image = np.array(seen.shown.images()[int(np.argmin(np.abs(stamps - time_s)))])
    return seen.shown.panel(image, seen.scenario.goal, seen.scenario.base.T_base_camera)


def _picture(seen: _Seen, errors: dict[str, NDArray[np.float64]]) -> Image:
    panels = []
    for name in STAGES:
        panel = _panel(seen, seen.recording.spans(name)[0][1] + _REST_S)
        words = {"encoders": "by encoders", "control": "visual_control", "servo": "visual_servo"}
        text = f"{words[name]}: {errors[name].max():.2f}° from the goal"
        names = [f"joint {k + 1}" for k in range(len(errors[name]))]  # whole names do not fit
        bars = drawing.error_bars(names, errors[name], panel.shape[1], "")
        panels.append(drawing.stack([drawing.caption(panel, text), bars]))
    return drawing.side_by_side(panels)


def _frames(seen: _Seen) -> Iterator[Image]:
    recording, camera = seen.recording, seen.shown.large()
    begin, end = recording.spans("rest")[0][0], recording.spans("servo")[0][1] + _REST_S
    spans = [(name, *recording.spans(name)[0]) for name in STAGES]
    for time_s in np.arange(begin, end, 1 / VIDEO_HZ):
        now = [name for name, start, _ in spans if start <= time_s]
        text = "the goal is drawn over what the camera sees"
        if now:
            back = recording.spans("back")[0]
            text = "back to the start" if back[0] <= time_s < spans[1][1] else STAGES[now[-1]]
        stamps = recording.image_stamp
        image = np.array(seen.shown.images()[int(np.argmin(np.abs(stamps - time_s)))])
        plain = drawing.enlarge(image, camera.width, camera.height)
        both = drawing.side_by_side(
            [
                drawing.caption(plain, "camera image"),
                drawing.caption(_panel(seen, time_s), text),
            ]
        )
        names = seen.scenario.base.model.joint_names
        bars = drawing.error_bars(names, seen.error_deg(time_s), both.shape[1], "from the goal")
        yield drawing.stack([both, bars])


def _write_video(path: Path, seen: _Seen) -> None:
    from tqdm import tqdm

    with VideoWriter(path, VIDEO_HZ) as video:
        for image in tqdm(_frames(seen), desc="video", disable=None):
            video.add(image)


def _report(
    config: ControlDemoConfig,
    seen: _Seen,
    errors: dict[str, NDArray[np.float64]],
    results: dict[str, Any],
) -> str:
    names = seen.scenario.base.model.joint_names
    rows = "\n".join(
        f"| {name} | {np.rad2deg(offset):+.1f} | "
        + " | ".join(f"{errors[stage][k]:.2f}" for stage in STAGES)
        + " |"
        for k, (name, offset) in enumerate(zip(names, seen.scenario.offsets, strict=True))
    )
    worst = " | ".join(f"**{errors[stage].max():.2f}**" for stage in STAGES)
    spans = {stage: seen.recording.spans(stage)[0] for stage in STAGES}
    took = " | ".join(f"{b - a:.1f}" for a, b in spans.values())
    servo, control = results["servo"], results["control"]
    return f"""# Control by sight

{seen.scenario.base.model.name}: every encoder is {config.offset_deg:g} degrees off, and the arm's
controller goes by them. The goal is a picture (`goal.png`); how far the arm ended from it is the
simulator's truth. All nodes ran as processes of their own, over DDS.

* visual_control said: {control["message"]}
* visual_servo said: {servo["message"]}; {servo["corrections"]} motions sent.

Degrees from the goal (for joints that slide: 0.01 rad is 1 cm):

| joint | encoder off | by encoders | visual_control | visual_servo |
|---|---|---|---|---|
{rows}
| worst | {config.offset_deg:.1f} | {worst} |
| time, s | | {took} |
"""
