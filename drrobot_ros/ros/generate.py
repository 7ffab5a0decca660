"""Write ``config/*.yaml`` and ``docs/parameters.md`` from the configuration classes.

``python -m drrobot_ros.ros.generate`` writes them, with ``--check`` it says which are stale.
"""

import sys
import textwrap
from pathlib import Path
from typing import Any, get_args, get_origin

from drrobot_ros.configuration import Setting
from drrobot_ros.ros.control_settings import (
    ExecutionConfig,
    VisualControlSettings,
    VisualServoSettings,
)
from drrobot_ros.ros.declarations import nested_settings
from drrobot_ros.ros.scene_settings import GraspPlannerSettings, SceneReconstructorSettings
from drrobot_ros.ros.settings import (
    CalibratorSettings,
    CameraSettings,
    PoseEstimatorSettings,
    RobotIdentifierSettings,
    SimulatedRobotSettings,
)

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m drrobot_ros.ros.generate"
WIDTH = 100


def nodes() -> dict[str, list[tuple[str, Setting]]]:
    """Return the settings of each node by full parameter name."""
    from drrobot_ros.control.config import SafetyConfig
    from drrobot_ros.control.following import FollowingConfig
    from drrobot_ros.control.plan_config import PlanConfig
    from drrobot_ros.control.servo import ServoConfig
    from drrobot_ros.estimation import TrackerConfig
    from drrobot_ros.estimation.calibration import CalibrationConfig, KeyframeConfig
    from drrobot_ros.grasping.config import GraspConfig, GripperConfig
    from drrobot_ros.identification.config import IdentificationConfig
    from drrobot_ros.scene.config import ReconstructionConfig
    from drrobot_ros.simulation.config import EncoderConfig, SceneConfig

    moving = [
        *nested_settings(SafetyConfig, "safety.", read_only=True),
        *nested_settings(ExecutionConfig, "execution.", read_only=True),
        *nested_settings(FollowingConfig, "following.", read_only=True),
        *nested_settings(ServoConfig, "servo."),
        *nested_settings(PlanConfig, "plan."),
    ]
    return {
        "calibrator": [
            *nested_settings(CalibratorSettings),
            *nested_settings(CameraSettings),
            *nested_settings(CalibrationConfig, "calibration."),
            *nested_settings(KeyframeConfig, "choice."),
        ],
        "grasp_planner": [
            *nested_settings(GraspPlannerSettings),
            *moving[: -len(list(nested_settings(PlanConfig)))],
            *nested_settings(GraspConfig, "grasp."),
            *nested_settings(GripperConfig, "gripper.", read_only=True),
        ],
        "pose_estimator": [
            *nested_settings(PoseEstimatorSettings),
            *nested_settings(CameraSettings),
            *nested_settings(TrackerConfig, "tracker."),
        ],
        "robot_identifier": [
            *nested_settings(RobotIdentifierSettings),
            *nested_settings(IdentificationConfig, "fit."),
        ],
        "scene_reconstructor": [
            *nested_settings(SceneReconstructorSettings),
            *nested_settings(CameraSettings),
            *nested_settings(ReconstructionConfig, "reconstruction."),
        ],
        "simulated_robot": [
            *nested_settings(SimulatedRobotSettings),
            *nested_settings(EncoderConfig, "encoders.", read_only=True),
            *nested_settings(SceneConfig, "scene.", read_only=True),
        ],
        "visual_control": [*nested_settings(VisualControlSettings), *moving],
        "visual_servo": [*nested_settings(VisualServoSettings), *moving],
    }


def value_text(value: Any) -> str:
    """Return a default as yaml has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(value_text(v) for v in value) + "]"
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text else f"{value:.12f}".rstrip("0")
    return repr(value)


def type_text(setting: Setting) -> str:
    """Return the type of a parameter in ROS's words."""
    names = {bool: "bool", int: "integer", float: "double", str: "string"}
    if get_origin(setting.type) is tuple:
        return f"{names[get_args(setting.type)[0]]} array"
    return names[setting.type]


def range_text(setting: Setting) -> str:
    """Return the valid values of a parameter."""
    info = setting.info
    if info.choices is not None:
        return ", ".join(map(str, info.choices))
    if info.minimum is None and info.maximum is None:
        return ""
    low = "" if info.minimum is None else f"{info.minimum:.10g}"
    high = "" if info.maximum is None else f"{info.maximum:.10g}"
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}"


def description_text(setting: Setting) -> str:
    """Return the description with the unit."""
    unit = setting.info.unit
    return setting.info.description + (f" [{unit}]" if unit else "")


def yaml_text(node: str, settings: list[tuple[str, Setting]]) -> str:
    """Return the parameter file of a node: every parameter, with its default."""
    lines = [
        f"# Parameters of {node}, with their defaults. Copy it and change the copy:",
        f"# this file is made by `{COMMAND}`.",
        "# Those marked (start) cannot be changed while the node runs.",
        "/**:",
        "  ros__parameters:",
    ]
    group = ""
    for name, setting in settings:
        *groups, key = name.split(".")
        indent = "    " + "  " * len(groups)
        if groups and groups[0] != group:
            group = groups[0]
            lines += ["", f"    {group}:"]
        comment = description_text(setting)
        valid = range_text(setting)
        comment += f"; {valid}" if valid else ""
        comment += " (start)" if setting.info.read_only else ""
        prefix = f"{indent}# "
        lines += textwrap.wrap(
            comment, WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False
        )
        lines.append(f"{indent}{key}: {value_text(setting.default)}")
    return "\n".join(lines) + "\n"


def table_text() -> str:
    """Return the page with the parameters of every node."""
    lines = [
        "# Parameters",
        "",
        f"Made by `{COMMAND}` from the same declarations as the nodes' parameters, the parameter",
        "files in `config/` and the Python configuration classes.",
        "Parameters marked *start* cannot be changed while the node runs. A whole number will do",
        "where a double is declared; a value out of range is refused with the reason; a misspelt",
        "name is warned of at the start.",
    ]
    for node, settings in nodes().items():
        lines += ["", f"## {node}", ""]
        lines += ["| name | type | default | valid | what |", "|---|---|---|---|---|"]
        for name, setting in settings:
            what = description_text(setting) + (" *start*" if setting.info.read_only else "")
            cells = [
                f"`{name}`",
                type_text(setting),
                f"`{value_text(setting.default)}`",
                range_text(setting),
                what,
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Return what each generated file should hold."""
    out = {ROOT / "config" / f"{node}.yaml": yaml_text(node, s) for node, s in nodes().items()}
    out[ROOT / "docs" / "parameters.md"] = table_text()
    return out


def stale() -> list[Path]:
    """Return the files that are missing or not what they should be."""
    return [p for p, text in files().items() if not p.is_file() or p.read_text() != text]


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name the stale ones and return 1 if there are any."""
    changed = stale()
    for path in changed:
        print(f"{'stale' if '--check' in arguments else 'wrote'}: {path.relative_to(ROOT)}")
    if "--check" in arguments:
        return 1 if changed else 0
    texts = files()
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
