"""Joint states by name and by stamp."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.ros.joints import JointHistory, JointNames

NAMES = JointNames({"a": 0, "b": 1, "c": 6}, {"a": 0, "b": 1, "c": 5}, 7)


def state(names, **arrays) -> JointState:
    return JointState(name=names, **{k: [float(x) for x in v] for k, v in arrays.items()})


def test_names_decide():
    q, v = NAMES.read(
        state(["other", "c", "a"], position=[9, 3, 1], velocity=[9, 0.3, 0.1], effort=[0, 0, 0])
    )
    np.testing.assert_array_equal(q, [1, *[np.nan] * 5, 3])
    np.testing.assert_array_equal(v, [0.1, *[np.nan] * 5, 0.3])
    assert NAMES.missing(q) == ["b"]


def test_values_that_are_no_numbers_are_unknown():
    q, _ = NAMES.read(state(["a", "b", "c"], position=[np.nan, np.inf, 2]))
    assert np.isnan(q[:2]).all() and q[6] == 2
    q, v = NAMES.read(state(["a"], velocity=[1]))
    assert np.isnan(q).all() and v[0] == 1


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (state(["a", "b"], position=[1]), "2 names but 1 position"),
        (state(["a"], position=[1], velocity=[1, 2]), "1 names but 2 velocity"),
        (state(["a"], position=[1], effort=[1, 2]), "1 names but 2 effort"),
        (state(["a", "a"], position=[1, 2]), "'a' twice"),
    ],
)
def test_unusable(message, words):
    with pytest.raises(InputError, match=words):
        NAMES.read(message)


def test_prefix():
    names = JointNames({"a": 0}, {"a": 0}, 1, "left_")
    q, _ = names.read(state(["a", "left_a"], position=[1, 2]))
    assert q == [2]
    assert names.write(np.array([3.0]), Header()).name == ["left_a"]


def test_write():
    q, v = np.arange(7.0), np.arange(6.0) * 10
    message = NAMES.write(q, Header(frame_id="base"), v)
    assert list(message.name) == ["a", "b", "c"]
    assert list(message.position) == [0, 1, 6]
    assert list(message.velocity) == [0, 10, 50]
    assert message.header.frame_id == "base"


def test_of_a_model_leaves_out_joints_of_several_numbers():
    class Model:
        joint_names = ("ball", "hinge", "slide", "float")
        nq = 13

        @staticmethod
        def joint_q_index(name):
            return {"slide": 5, "float": 6, "ball": 1, "hinge": 0}[name]

        @staticmethod
        def joint_v_index(name):
            return {"slide": 4, "float": 5, "ball": 1, "hinge": 0}[name]

    names = JointNames.of(Model)
    assert names.index == {"hinge": 0, "slide": 5}
    assert names.v_index == {"hinge": 0, "slide": 4}


def test_history_interpolates():
    history = JointHistory(2)
    nan = np.full(2, np.nan)
    history.add(10.0, np.array([0.0, 5.0]), nan)
    history.add(10.1, np.array([1.0, np.nan]), nan)  # says nothing of the second joint
    np.testing.assert_allclose(history.at(10.025), [0.25, 5.0])
    np.testing.assert_allclose(history.at(10.1), [1.0, 5.0])
    np.testing.assert_allclose(history.at(9.9), [0.0, 5.0])
    assert np.isnan(history.at(9.0)).all()
    # Beyond the newest value: held for a while, then unknown.
    np.testing.assert_array_equal(history.at(10.25), [1.0, np.nan])
    np.testing.assert_allclose(history.latest(), [1.0, 5.0])


def test_history_goes_on_by_velocity():
    history = JointHistory(1)
    history.add(1.0, np.array([0.5]), np.array([2.0]))
    np.testing.assert_allclose(history.at(1.1), [0.7])


def test_history_forgets_what_is_old_and_what_was_before_a_jump():
    history = JointHistory(1, keep_s=1.0)
    for t in (1.0, 2.5):
        assert not history.add(t, np.array([t]), np.array([np.nan]))
    assert np.isnan(history.at(1.0)).all()
    assert history.add(2.0, np.array([7.0]), np.array([np.nan]))
    assert history.at(1.95) == 7.0
    assert history.newest_s() == 2.0


def test_rate_from_the_positions_around_a_stamp():
    history = JointHistory(2)
    for k in range(21):
        t = 1.0 + 0.01 * k
        history.add(t, np.array([np.sin(t), np.nan if k % 5 else 2 * t]), np.full(2, np.nan))
    np.testing.assert_allclose(history.velocity(1.1), [np.cos(1.1), 2.0], rtol=2e-2)
    # At the end there are only earlier ones; far from any nothing is said.
    np.testing.assert_allclose(history.velocity(1.2), [np.cos(1.185), 2.0], rtol=1e-2)
    assert np.isnan(history.velocity(1.4)).all() and np.isnan(history.velocity(0.5)).all()
    assert np.isnan(JointHistory(1).velocity(1.0)).all()
