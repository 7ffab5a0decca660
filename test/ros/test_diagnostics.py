"""Faults: logged once per cause, counted, published until they are over."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import rclpy

from drrobot_ros.ros import diagnostics
from drrobot_ros.ros.diagnostics import ERROR, OK, WARN, Diagnostics


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(diagnostics.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def board(ros, monkeypatch):
    node = rclpy.create_node("board")
    board = Diagnostics(node, "arm")
    board.log, board.sent = [], []

    class Logger:
        def warning(self, text):
            board.log.append(("warning", text))

        def error(self, text):
            board.log.append(("error", text))

        def info(self, text):
            board.log.append(("info", text))

    monkeypatch.setattr(node, "get_logger", Logger)
    monkeypatch.setattr(board._publisher, "publish", board.sent.append)
    yield board
    node.destroy_node()


def published(board):
    board.publish()
    return {s.name: (s.level, s.message) for s in board.sent[-1].status}


def test_once_per_cause(board, clock):
    for i in range(100):
        board.fault("image", "truncated")
        if i % 2:
            board.good("image")  # a fault that comes and goes is logged once too
        clock[0] += 0.03
    board.fault("image", "empty")
    board.fault("joints", "3 missing", WARN, cause="missing")
    board.fault("joints", "2 missing", WARN, cause="missing")
    assert board.log == [
        ("error", "image: truncated"),
        ("error", "image: empty"),
        ("warning", "joints: 3 missing"),
    ]
    status = published(board)
    assert status["board: image"] == (ERROR, "empty")
    assert status["board: joints"] == (WARN, "2 missing")
    counts = {s.name: s.values[0].value for s in board.sent[-1].status}
    assert counts["board: image"] == "101"
    assert board.sent[-1].status[0].hardware_id == "arm"


def test_recovery(board, clock):
    board.fault("image", "truncated")
    board.good("image")
    # Shorter than the time between two publications, and seen all the same.
    assert published(board)["board: image"] == (ERROR, "truncated")
    assert published(board)["board: image"] == (OK, "ok")
    assert len(board.log) == 1
    clock[0] += 2
    published(board)
    published(board)
    assert board.log[1:] == [("info", "image: ok again")]
    clock[0] += 10
    board.fault("image", "truncated")
    assert board.log[2:] == [("error", "image: truncated")]


def test_faults_age_unless_they_last(board, clock):
    board.fault("stamps", "jumped back", WARN)
    board.fault("robot", "no such file", lasting=True)
    published(board)
    clock[0] += 60
    status = published(board)
    assert status["board: stamps"] == (OK, "ok")
    assert status["board: robot"] == (ERROR, "no such file")


def test_summary_comes_first(board, clock):
    board.set_summary(lambda: (WARN, "starting", {"rate_hz": "0"}))
    board.good("image")
    board.publish()
    first = board.sent[-1].status[0]
    assert (first.name, first.level, first.message) == ("board", WARN, "starting")
    assert first.values[0].key == "rate_hz"
