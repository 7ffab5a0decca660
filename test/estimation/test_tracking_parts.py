"""The tracker's small parts, each on numbers whose answer is known."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.estimation.camera_memory import CameraMemory, without_joints
from drrobot_ros.estimation.encoder_offsets import EncoderOffsets
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.light import LightMeter, noise_of, smoothed
from drrobot_ros.estimation.manifold import Coordinates, camera_center, hat
from drrobot_ros.estimation.matting import soften_contour
from drrobot_ros.estimation.motion import JointMotion
from drrobot_ros.estimation.normal_equations import RenderedImages
from drrobot_ros.estimation.observability import unobserved
from drrobot_ros.estimation.occlusion import OccluderFinder
from drrobot_ros.estimation.probe import margin
from drrobot_ros.estimation.problem import Layout, Solution, State, StopReason
from drrobot_ros.estimation.silhouette import SilhouetteSource
from drrobot_ros.geometry.camera import PinholeCamera, look_at

RNG = np.random.default_rng(0)


# -- contours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_pixels_at_the_contour_get_their_share(share):
    color = np.full((20, 30, 3), 0.2, np.float32)
    color[:, 15:] = (0.8, 0.7, 0.9)
    color[:, 14] = share * color[0, 20] + (1 - share) * color[0, 0]
    mask = np.zeros((20, 30), np.float32)
    mask[:, 14:] = 1  # told to be one or the other, the mixed pixel is robot
    soft, trust = soften_contour(mask, np.ones_like(mask), color)
    assert soft[5:15, 14] == pytest.approx(share, abs=0.02)
    assert (soft[5:15, :13] == 0).all() and (soft[5:15, 16:] == 1).all()
    assert (trust[5:15, 14] > 0.9).all()


def test_a_robot_that_darkens_towards_its_contour_keeps_its_last_pixel():
    # Grey from bright to as dark as the bluish wall: brightness alone says wall.
    rng = np.random.default_rng(1)
    color = np.empty((30, 40, 3), np.float32)
    color[:, :20] = (0.40, 0.48, 0.50)
    color[:, 20:] = np.linspace(0.45, 1.0, 20)[None, :, None]
    color += rng.normal(0, 0.005, color.shape).astype(np.float32)
    mask = np.zeros((30, 40), np.float32)
    mask[:, 21:] = 1  # told to begin a pixel too late
    soft, trust = soften_contour(mask, np.ones_like(mask), color)
    assert np.median(soft[8:22, 20]) > 0.6
    assert np.median(trust[8:22, 20]) > 0.5


def test_a_contour_without_contrast_is_hardly_trusted():
    color = np.full((20, 30, 3), 0.5, np.float32)
    mask = np.zeros((20, 30), np.float32)
    mask[:, 15:] = 1
    _, trust = soften_contour(mask, np.ones_like(mask), color)
    assert trust[10, 15] < 0.1
    assert trust[10, 25] == 1


# -- light and noise -----------------------------------------------------------------------------


def test_a_lamp_that_changed_is_undone():
    first = RNG.integers(30, 110, (60, 80, 3)).astype(np.uint8)
    meter = LightMeter()
    assert meter.normalized(first) is first
    gain = np.array([0.5, 1.3, 2.0])
    later = np.clip(first * gain, 0, 255).astype(np.uint8)
    back = meter.normalized(later)
    assert meter.gain == pytest.approx(1 / gain, rel=0.03)
    assert np.abs(back.astype(int) - first).mean() < 2


def test_noise_is_measured_and_smoothed_only_where_there_is_some():
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    clean = np.stack([x, y, x + y], -1).astype(np.float32) * 0.6 + 20
    assert smoothed(clean.astype(np.uint8)) is not None
    assert noise_of(clean.astype(np.uint8)) < 0.01
    noisy = np.clip(clean + RNG.normal(0, 0.06 * 255, clean.shape), 0, 255).astype(np.uint8)
    assert noise_of(noisy) == pytest.approx(0.06, rel=0.15)
    assert np.abs(smoothed(noisy) - clean).mean() < 0.5 * np.abs(noisy - clean).mean()
    image = clean.astype(np.uint8)
    assert smoothed(image) is image


# -- motion --------------------------------------------------------------------------------------


def test_a_steady_motion_is_predicted_and_an_unseen_joint_stays():
    motion = JointMotion(2, acceleration=10.0)
    q, truth = np.zeros(2), np.zeros(2)
    for _ in range(40):
        step, sigma = motion.predict(1 / 30)
        truth = truth + np.array([1.0, 1.0]) / 30
        information = np.array([1e6, 0.0])
        trust = information / (information + 1 / sigma**2)
        innovation = trust * (truth - (q + step))
        q = q + step + innovation
        motion.correct(innovation, information)
    assert motion.velocity[0] == pytest.approx(1.0, abs=0.05)
    assert q[1] == 0 and motion.velocity[1] == 0
    assert motion.unseen_sigma[0] < 0.05 and motion.unseen_sigma[1] > 0.5


# -- occluders -----------------------------------------------------------------------------------


def test_only_what_is_neither_background_nor_robot_is_unexplained():
    cluster = np.zeros((40, 60), np.uint8)
    alpha = np.zeros((40, 60), np.float32)
    alpha[10:30, 10:30] = 1
    cluster[10:30, 10:30] = RNG.integers(1, 4, (20, 20))
    images = RenderedImages(np.zeros((40, 60, 3), np.float32), alpha, alpha, None)
    groups, finder = object(), OccluderFinder()
    changed = np.zeros((40, 60), np.float32)
    assert finder.unexplained(groups, cluster, changed) is None
    finder.learn(groups, cluster, images)
    cluster[5:35, 40:50] = 9  # something new, before known background
    cluster[12:28, 12:20] = 9  # and before the robot
    changed[5:35, 40:50] = changed[12:28, 12:20] = 10
    changed[10:30, 30:36] = 10  # the robot itself, moved there
    cluster[10:30, 30:36] = 2
    found = finder.unexplained(groups, cluster, changed)
    assert found is not None
    assert found[7:33, 42:48].all() and found[14:26, 14:18].all()
    assert not found[10:30, 31:36].any() and not found[:, 52:].any()
    assert finder.unexplained(object(), cluster, changed) is None


def level_of(pixels: np.ndarray) -> Level:
    h, w = pixels.shape[:2]
    camera = PinholeCamera.from_fov(w, h, 1.0)
    return Level(camera, pixels, (pixels / 255).astype(np.float32), None, None, None)


def test_a_background_is_forgotten_once_the_camera_was_moved():
    room = RNG.integers(0, 255, (60, 80, 3)).astype(np.uint8)
    nothing = np.zeros((60, 80), np.float32)
    away = RenderedImages(np.zeros((60, 80, 3), np.float32), nothing, nothing, None)
    source = SilhouetteSource(every=1)
    for _ in range(5):
        source.learn(level_of(room), away)
    passing = room.copy()
    passing[:, 20:40] = 255 - passing[:, 20:40]  # somebody walks by
    for _ in range(20):
        distance = source.distance(level_of(passing))
        assert distance is not None and (distance[:, 20:40] > 4).mean() > 0.5
    moved = level_of(np.roll(room, 7, 1))
    assert source.distance(moved) is not None
    assert any(source.distance(moved) is None for _ in range(6))
    assert source.distance(level_of(room)) is None


# -- camera and encoders -------------------------------------------------------------------------


def test_many_images_of_one_camera_average_out_where_they_tell_it():
    start = look_at((1.3, 0.4, 0.8), (0, 0, 0.3))
    memory = CameraMemory(start, np.repeat([0.05, 0.05], 3))
    to_lens = np.eye(6)
    to_lens[:3, 3:] = hat(camera_center(start))
    # About the lens: 10 mm in x and y from one image, nothing along the axis.
    told = np.diag([1e4, 1e4, 0, 1e6, 1e6, 1e6])
    information = to_lens.T @ told @ to_lens
    truth = np.array([0.02, -0.01, 0.03])
    for _ in range(800):
        prior = memory.prior()
        assert prior is not None and prior.information is not None
        noisy = truth + RNG.normal(0, 0.01, 3) * [1, 1, 0]
        mean = start[:3, :3].T @ (prior.mean[:3, 3] - start[:3, 3])
        P = prior.information[:3, :3]
        x = np.linalg.solve(P + told[:3, :3], P @ mean + told[:3, :3] @ noisy)
        T = start.copy()
        T[:3, 3] = start[:3, 3] + start[:3, :3] @ x
        memory.add(T, information)
    mean = start[:3, :3].T @ (memory.prior().mean[:3, 3] - start[:3, 3])
    assert mean[:2] == pytest.approx(truth[:2], abs=0.006)
    assert abs(mean[2]) < 0.003  # nothing told it: the start holds


def test_joints_that_could_explain_it_as_well_are_eliminated():
    J = RNG.normal(size=(40, 9))
    J[:, 3] = J[:, 0]  # the first camera column looks like the first joint
    told = without_joints(J.T @ J, 3, np.arange(3))
    assert told[0, 0] < 1e-3
    assert told[1, 1] > 1


def test_constant_errors_of_encoders_are_found():
    truth = np.array([0.03, -0.02, 0.01])
    offsets = EncoderOffsets(3, noise=0.002, offset=0.05)
    information = np.array([1e5, 1e5, 0.0])
    for _ in range(300):
        prior = 1 / np.square(offsets.prior(np.zeros(3)).sigma)
        # Solved minus corrected reading, the truth being `truth` off the reading.
        off = truth - offsets.mean + RNG.normal(0, 0.002, 3)
        offsets.add(off * information / (information + prior), information)
    assert offsets.mean[:2] == pytest.approx(truth[:2], abs=0.002)
    assert offsets.mean[2] == 0 and offsets.sigma[2] == pytest.approx(0.05)
    assert (offsets.sigma[:2] < 0.01).all()


def test_a_delay_of_readings_is_told_from_their_constant_errors():
    offset, lag, n = np.array([0.02, -0.03]), 0.08, 400
    time_s = np.arange(n) / 30
    phase = time_s[:, None] * [2.0, 3.0]
    q, velocity = np.sin(phase) * 0.4, np.cos(phase) * [0.8, 1.2]
    late = np.sin(phase - lag * np.array([2.0, 3.0])) * 0.4
    known = np.full(2, 1e5)
    errors = {}
    for lag_sigma in (0.0, 0.1):
        filtered = EncoderOffsets(2, noise=0.002, offset=0.05, lag=lag_sigma)
        off = []
        for x, v, reading in zip(q, velocity, late - offset, strict=True):
            corrected = reading + filtered.step(v)
            prior = 1 / np.square(filtered.prior(corrected).sigma)
            off.append(np.abs(x - corrected).max())
            filtered.add((x - corrected) * known / (known + prior), known)
        errors[lag_sigma] = np.median(off[n // 2 :])
    assert filtered.lag_s == pytest.approx(lag, abs=0.01)
    assert filtered.mean == pytest.approx(offset, abs=0.005)
    assert filtered.lag_sigma_s < 0.02
    assert errors[0.1] < 0.01
    assert errors[0.0] > 0.04


# -- words and doubt -----------------------------------------------------------------------------


def solution(H: np.ndarray, joints: int, camera: bool) -> Solution:
    layout = Layout(np.arange(joints, dtype=np.int32), (joints if camera else -1,), (-1,), len(H))
    T = look_at((1.0, 0, 0.5), (0, 0, 0.5))[None]
    state = State(np.zeros((1, joints)), np.zeros(joints), np.zeros((1, joints)), T, np.zeros(1))
    return Solution(
        state, layout, H, np.zeros((1, len(H))), H[None], 0.0, (), 1, StopReason.CONVERGED
    )


def test_what_is_not_seen_is_said_in_words():
    H = np.diag([1e5, 1e5, 1e-3])
    (said,) = unobserved(solution(H, 3, False), 1.0, ("a", "b", "c"), ("camera",))
    assert said == "joint 'c' moves nothing that is seen"
    assert unobserved(solution(H[:2, :2], 2, False), 1.0, ("a", "b"), ("camera",)) == ()


def test_what_is_hardly_told_apart_is_said_in_words():
    pair = np.array([1.0, -1.0]) / np.sqrt(2)
    both = np.eye(2) * 1e5 - 0.9999999 * 1e5 * np.outer(pair, pair)
    (said,) = unobserved(solution(both, 2, False), 1.0, ("a", "b"), ("camera",))
    assert said == "joint 'a' and joint 'b' are hardly told apart"
    H = np.diag([1e5, 1e4, 1e4, 20.0, 1e5, 1e5, 1e5])
    (said,) = unobserved(solution(H, 1, True), 1.0, ("a",), ("left",))
    assert said == "camera 'left' moving along its optical axis is barely seen"


@dataclasses.dataclass
class Bump:
    """A score with its peak at one place."""

    at: np.ndarray

    def __call__(self, q, T):
        assert len(T) == len(q)
        return np.exp(-np.square(q - self.at).sum(1))


def test_a_better_place_nearby_is_noticed(arm):
    coordinates = Coordinates.of(arm.tree, arm.nq, arm.nv)
    limits = np.full(arm.nq, -9.0), np.full(arm.nq, 9.0)
    free = np.ones(arm.nv, bool)
    q = np.zeros(arm.nq)

    def lead(at, limits=limits):
        return margin(Bump(at), coordinates, limits, q, np.eye(4), free, False)

    assert lead(q) == pytest.approx(1 - np.exp(-(0.17**2)), abs=1e-6)
    away = np.where(np.arange(arm.nq) == 2, 0.4, 0.0)
    assert lead(away) < -0.1
    # Where a limit keeps the joint from going there, that place is none.
    assert lead(away, (limits[0], np.full(arm.nq, 0.02))) > 0
