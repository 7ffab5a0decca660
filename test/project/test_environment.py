"""The set-up: what is redone and when, and what a user reads when it fails."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "environment"


@pytest.fixture
def tools(monkeypatch):
    """Import the set-up's modules, which are run as a folder and not installed."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import problems
    import stamps
    import system

    class Tools:
        Stamps, fingerprint = stamps.Stamps, staticmethod(stamps.fingerprint)
        run_logged, SetupError = staticmethod(problems.run_logged), problems.SetupError

    Tools.system = system
    yield Tools
    for name in ("problems", "stamps", "system"):
        sys.modules.pop(name, None)


def test_a_step_is_redone_when_its_inputs_change(tools, tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a.msg").write_text("int32 x")
    stamps = tools.Stamps(tmp_path / "stamps")
    before = tools.fingerprint([folder])
    assert not stamps.is_current("messages", before)
    stamps.write("messages", before)
    assert stamps.is_current("messages", tools.fingerprint([folder]))
    (folder / "a.msg").write_text("int64 x")
    assert not stamps.is_current("messages", tools.fingerprint([folder]))
    (folder / "a.msg").write_text("int32 x")
    (folder / "b.msg").write_text("")
    assert not stamps.is_current("messages", tools.fingerprint([folder]))
    stamps.forget("messages")
    assert not stamps.is_current("messages", before)


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (
            "print('ok'); print('ERROR: No matching distribution found for x'); exit(1)",
            "No matching",
        ),
        ("print('compiling'); print('a.cpp:3: fatal error: no file'); exit(2)", "fatal error"),
        ("print('Retry(total=0'); print('ERROR: Cannot install'); exit(1)", "cannot be reached"),
        ("print('first'); print('last words'); exit(3)", "last words"),
    ],
)
def test_a_failed_command_is_one_line_with_cause_advice_and_log(tools, tmp_path, script, cause):
    log = tmp_path / "step.log"
    with pytest.raises(tools.SetupError) as caught:
        tools.run_logged([sys.executable, "-c", script], log, "install g++")
    message = str(caught.value)
    assert cause in message
    assert "install g++" in message
    assert "step.log" in message
    assert "\n" not in message


def test_a_missing_program_is_named(tools, tmp_path):
    with pytest.raises(tools.SetupError, match=r"no-such-program; install it"):
        tools.run_logged(["no-such-program"], tmp_path / "log", "install it")


def test_a_machine_without_compiler_and_opengl_is_told_what_to_install(
    tools, monkeypatch, tmp_path
):
    system = tools.system
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    monkeypatch.setattr(system, "_loads", lambda name: name == "libGL.so.1")
    monkeypatch.delenv("CXX", raising=False)
    assert {"g++", "libegl1", "libegl-mesa0", "libgl1-mesa-dri"} <= set(system.missing_packages())
    assert "libopengl0" not in system.missing_packages()
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system.sys, "version_info", (3, 11, 2))
    with pytest.raises(tools.SetupError, match=r"run: sudo apt-get install -y .*g\+\+.*libegl1"):
        system.ensure(tmp_path / "apt.log")


def test_a_wrong_python_is_refused(tools, monkeypatch, tmp_path):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(tools.system.sys, "version_info", (3, 9, 2))
    with pytest.raises(
        tools.SetupError, match=r"need Python 3.11; install it and run: make PYTHON="
    ):
        tools.system.ensure(tmp_path / "apt.log")
