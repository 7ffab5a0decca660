"""The generated parameter files and page: fresh, and what the nodes really declare."""

import shutil

import pytest
import yaml

from drrobot_ros.ros import generate


def test_nothing_is_stale():
    names = ", ".join(str(p.relative_to(generate.ROOT)) for p in generate.stale())
    assert not names, f"{names}: run {generate.COMMAND}"


def test_check_says_what_is_stale_and_writing_mends_it(tmp_path, monkeypatch, capsys):
    for folder in ("config", "docs"):
        shutil.copytree(generate.ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 0
    page = tmp_path / "docs" / "parameters.md"
    good = page.read_text()
    page.write_text(good.replace("pose_estimator", "posse_estimator"))
    (tmp_path / "config" / "simulated_robot.yaml").unlink()
    assert generate.main(["--check"]) == 1
    out = capsys.readouterr().out
    assert "stale: docs/parameters.md" in out and "stale: config/simulated_robot.yaml" in out
    assert page.read_text() != good
    assert generate.main([]) == 0
    assert page.read_text() == good
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("node", generate.nodes())
def test_yaml_gives_the_defaults(node):
    text = (generate.ROOT / "config" / f"{node}.yaml").read_text()
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    for name, setting in generate.nodes()[node]:
        found = values
        for key in name.split("."):
            found = found[key]
        default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        assert found == default, name
        assert type(found) is type(default), name
        assert f"`{name}`" in (generate.ROOT / "docs" / "parameters.md").read_text()


def test_ros_reads_the_yaml(ros):
    """Every file through rclpy: each value arrives with its type, and none is unknown."""
    import rclpy

    from drrobot_ros.control.config import SafetyConfig
    from drrobot_ros.control.following import FollowingConfig
    from drrobot_ros.control.plan_config import PlanConfig
    from drrobot_ros.control.servo import ServoConfig
    from drrobot_ros.estimation import TrackerConfig
    from drrobot_ros.estimation.calibration import CalibrationConfig, KeyframeConfig
    from drrobot_ros.identification import IdentificationConfig
    from drrobot_ros.ros.control_settings import (
        ExecutionConfig,
        VisualControlSettings,
        VisualServoSettings,
    )
    from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
    from drrobot_ros.ros.settings import (
        CalibratorSettings,
        CameraSettings,
        PoseEstimatorSettings,
        RobotIdentifierSettings,
        SimulatedRobotSettings,
    )
    from drrobot_ros.simulation.config import EncoderConfig, SceneConfig

    moving = [
        (SafetyConfig, "safety."),
        (ExecutionConfig, "execution."),
        (FollowingConfig, "following."),
        (ServoConfig, "servo."),
        (PlanConfig, "plan."),
    ]
    of_node = {
        "calibrator": [
            (CalibratorSettings, ""),
            (CameraSettings, ""),
            (CalibrationConfig, "calibration."),
            (KeyframeConfig, "choice."),
        ],
        "pose_estimator": [
            (PoseEstimatorSettings, ""),
            (CameraSettings, ""),
            (TrackerConfig, "tracker."),
        ],
        "robot_identifier": [(RobotIdentifierSettings, ""), (IdentificationConfig, "fit.")],
        "simulated_robot": [
            (SimulatedRobotSettings, ""),
            (EncoderConfig, "encoders."),
            (SceneConfig, "scene."),
        ],
        "visual_control": [(VisualControlSettings, ""), *moving],
        "visual_servo": [(VisualServoSettings, ""), *moving],
    }
    for node_name, classes in of_node.items():
        path = str(generate.ROOT / "config" / f"{node_name}.yaml")
        arguments = ["--ros-args", "--params-file", path]
        node = rclpy.create_node(f"{node_name}_yaml", cli_args=arguments)
        try:
            for cls, prefix in classes:
                assert Parameters(node, cls, prefix).config == cls()
            assert warn_of_unknown(node) == []
            assert len(node._parameter_overrides) == len(generate.nodes()[node_name])
        finally:
            node.destroy_node()
