"""The demonstration's report, in Markdown."""

import os
import platform
from pathlib import Path

from drrobot_ros.demo.analysis import CONVERGED_DEG, Statistic, Tracking
from drrobot_ros.demo.config import DemoConfig


def report(config: DemoConfig, robot: str, tracking: Tracking, convergence_s: float | None) -> str:
    """Return the report of a demonstration.

    Args:
        config: of the demonstration.
        robot: its name.
        tracking: how the estimator did while the arm moved.
        convergence_s: how long it took to find the arm, None if it did not.
    """
    t = tracking
    found = "not reached" if convergence_s is None else f"{convergence_s:.2f} s"
    camera = (
        f"{_pair(t.camera_error_mm, 1)} mm, {_pair(t.camera_error_deg, 2)} deg"
        if config.estimate_camera
        else "0: its pose was given and held"
    )
    joints = "\n".join(f"| {name} | {_pair(s, 2)} |" for name, s in t.joint_error_deg.items())
    return f"""# What the demonstration measured

{robot}, {config.width}x{config.height} images at {t.camera_rate_hz:.1f} Hz from a simulated camera,
estimated over DDS by a node in a process of its own: no encoders, no mask, no depth, no training.
The start was {config.offset_deg:g} degrees off in every joint.

| while the arm moved ({t.duration_s:.1f} s) | median / 90 % |
|---|---|
{joints}

Joint errors in degrees (for joints that slide: 0.01 rad is 1 cm).

| | |
|---|---|
| converged (every joint within {CONVERGED_DEG} deg), from the first image's stamp | {found} |
| camera error, median / 90 % | {camera} |
| estimates | {t.rate_hz:.1f} Hz |
| latency from image stamp to estimate received, median / 90 % | {_ms(t.latency_s)} ms |
| of that the solver | {_ms(t.solve_time_s)} ms |
| images received, estimated, dropped, rejected | \
{t.received}, {t.estimates}, {t.dropped}, {t.rejected} |
| machine | {_machine()} |

The simulator, the estimator and the recorder shared this machine. An image is dropped when a newer
one has come before the solver was free.
"""


def joint_line(tracking: Tracking) -> str:
    """Return the largest median joint error, for the terminal."""
    name, worst = max(tracking.joint_error_deg.items(), key=lambda item: item[1].median)
    return f"worst joint {name}: median {worst.median:.2f} deg"


def write_report(path: Path, text: str) -> None:
    """Write the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _pair(s: Statistic, digits: int) -> str:
    return f"{s.median:.{digits}f} / {s.p90:.{digits}f}"


def _ms(s: Statistic) -> str:
    return f"{1e3 * s.median:.0f} / {1e3 * s.p90:.0f}"


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, load {os.getloadavg()[0]:.1f} at the end"
