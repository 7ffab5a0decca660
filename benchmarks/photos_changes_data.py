"""What other cameras, lights, people and mistakes would have made of the ten real photos."""

import dataclasses
from collections.abc import Callable

import numpy as np
from photos_data import Photos

from drrobot_ros.estimation import Observation
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import PIXEL_CENTER, Lens

Image = np.ndarray


@dataclasses.dataclass
class Case:
    """Photos as changed, to be calibrated.

    Attributes:
        images: [n] of [H,W,3] uint8 RGB.
        q: readings [n,7], rad.
        camera: intrinsics that come with them.
        T: the reference's camera pose [4,4].
        lens: the distortion that the images have and the calibration takes out; None: none.
    """

    images: list[Image]
    q: np.ndarray
    camera: PinholeCamera
    T: np.ndarray
    lens: Lens | None = None

    def observations(self) -> list[Observation]:
        """Return what `calibrate` gets."""
        seen = [self.lens.rectify(i) if self.lens else i for i in self.images]
        pairs = zip(seen, self.q, strict=True)
        return [Observation(i, self.camera, float(k), q) for k, (i, q) in enumerate(pairs)]


Change = Callable[[Case, np.random.Generator], None]


def case_of(photos: Photos, which: list[int]) -> Case:
    """Return photos as they are."""
    images = [photos.images[i].copy() for i in which]
    return Case(images, photos.q[which].copy(), photos.camera, photos.T.copy())


def each(change: Callable[[Image, np.random.Generator], Image]) -> Change:
    """Return the change of a case that changes every image alike."""

    def apply(case: Case, rng: np.random.Generator) -> None:
        case.images = [
            np.ascontiguousarray(np.clip(change(i, rng), 0, 255).astype(np.uint8))
            for i in case.images
        ]

    return apply


def gamma(power: float) -> Change:
    """Return a change of the tone curve."""
    return each(lambda i, _: 255 * (i / 255.0) ** power)


def gain(factor: float) -> Change:
    """Return another exposure of all images alike; what is too bright is cut off."""
    return each(lambda i, _: i * factor)


def exposures(least: float, most: float) -> Change:
    """Return an automatic exposure: every image by another factor."""
    return each(lambda i, rng: i * rng.uniform(least, most))


def white_balance(red: float, blue: float) -> Change:
    """Return another white balance of all images."""
    return each(lambda i, _: i * np.array([red, 1.0, blue]))


def white_balances(size: float) -> Change:
    """Return an automatic white balance: another one in every image."""
    return each(lambda i, rng: i * rng.uniform(1 - size, 1 + size, 3))


def jpeg(quality: int) -> Change:
    """Return compression."""
    import cv2

    def apply(image: Image, _: np.random.Generator) -> Image:
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert ok
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))

    return each(apply)


def noise(sigma: float) -> Change:
    """Return a noisy sensor; sigma in grey values."""
    return each(lambda i, rng: i + sigma * rng.normal(size=i.shape))


def blur(px: int) -> Change:
    """Return motion blur over so many pixels, in every image in another direction."""
    import cv2

    def apply(image: Image, rng: np.random.Generator) -> Image:
        kernel = np.zeros((px, px), np.float32)
        kernel[px // 2] = 1.0 / px
        turn = cv2.getRotationMatrix2D((px / 2 - 0.5, px / 2 - 0.5), rng.uniform(0, 180), 1.0)
        kernel = cv2.warpAffine(kernel, turn, (px, px))
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))

    return each(apply)


def grey(image: Image, _: np.random.Generator) -> Image:
    """Return the image of a camera without colours."""
    return np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)


def shade(image: Image, rng: np.random.Generator) -> Image:
    """Return an image with a soft shadow that lies elsewhere each time."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / width)
    at = rng.uniform([0.1, 0.1], [0.9, 0.5])
    dark = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 0.12**2))
    return image * (1 - 0.5 * dark[..., None])


def passer_by(image: Image, rng: np.random.Generator) -> Image:
    """Return an image with a large coloured patch that stands elsewhere each time."""
    height, width = image.shape[:2]
    out = image.copy()
    w, x = round(0.12 * width), round(rng.uniform(0, 0.88) * width)
    out[round(0.35 * height) :, x : x + w] = rng.uniform(30, 220, 3)
    return out


def resize(width: int, height: int) -> Change:
    """Return another resolution, intrinsics with it."""
    import cv2

    def apply(case: Case, _: np.random.Generator) -> None:
        smaller = width < case.camera.width
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        case.images = [
            np.asarray(cv2.resize(i, (width, height), interpolation=how)) for i in case.images
        ]
        case.camera = case.camera.resized(width, height)

    return apply


def crop(left: int, top: int, width: int, height: int) -> Change:
    """Return a part of the images, principal point moved."""

    def apply(case: Case, _: np.random.Generator) -> None:
        case.images = [i[top : top + height, left : left + width].copy() for i in case.images]
        K = case.camera.K.copy()
        K[:2, 2] -= left, top
        case.camera = PinholeCamera(K, width, height)

    return apply


def roll(quarters: int) -> Change:
    """Return images of a camera mounted turned about its optical axis."""

    def apply(case: Case, rng: np.random.Generator) -> None:
        for _ in range(quarters):
            case.images = [np.ascontiguousarray(np.rot90(i)) for i in case.images]
            K, height, width = case.camera.K, case.camera.height, case.camera.width
            # A point at (u, v) comes to (v, width - u).
            turned = np.array([[K[1, 1], 0, K[1, 2]], [0, K[0, 0], width - K[0, 2]], [0, 0, 1.0]])
            case.camera = PinholeCamera(turned, height, width)
            new_in_old = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
            case.T = case.T @ new_in_old

    return apply


def distort(*coefficients: float) -> Change:
    """Return the raw images of a lens, and the lens."""
    import cv2

    def apply(case: Case, _: np.random.Generator) -> None:
        case.lens = Lens(case.camera, coefficients)
        K = case.camera.K.copy()
        K[:2, 2] -= PIXEL_CENTER
        height, width = case.camera.height, case.camera.width
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
        straight = cv2.undistortPoints(grid.reshape(-1, 1, 2), K, np.array(coefficients), P=K)
        at = straight.reshape(height, width, 2).astype(np.float32)
        case.images = [
            np.asarray(cv2.remap(i, at[..., 0], at[..., 1], cv2.INTER_CUBIC)) for i in case.images
        ]

    return apply


def without_robot(count: int) -> Change:
    """Return a case in which some images show the room alone."""

    def apply(case: Case, _: np.random.Generator) -> None:
        room = np.median(np.stack(case.images), axis=0).astype(np.uint8)
        for i in range(count):
            case.images[(3 * i + 1) % len(case.images)] = room.copy()

    return apply


def swapped(case: Case, _: np.random.Generator) -> None:
    """Give two images each other's readings."""
    case.q[[2, 7]] = case.q[[7, 2]]


def repeated(case: Case, _: np.random.Generator) -> None:
    """Let three images carry the readings of the one before: a driver that hung."""
    for i in (3, 6, 8):
        case.q[i] = case.q[i - 1]


def still_arm(case: Case, _: np.random.Generator) -> None:
    """Let all images be of one pose, with readings that jitter only."""
    case.images = [case.images[0].copy() for _ in case.images]
    case.q = case.q[:1] + 0.003 * np.sin(np.arange(case.q.size)).reshape(case.q.shape)


def shifted_rows(case: Case, _: np.random.Generator) -> None:
    """Give every image the readings of the next: the first row was lost."""
    case.q = np.roll(case.q, -1, axis=0)


def noisy_readings(degrees: float) -> Change:
    """Return readings that are wrong by so much, differently in every image."""

    def apply(case: Case, rng: np.random.Generator) -> None:
        case.q = case.q + np.radians(degrees) * rng.choice([-1, 1], case.q.shape)

    return apply


def offset_readings(degrees: float) -> Change:
    """Return readings that are all wrong by the same."""

    def apply(case: Case, rng: np.random.Generator) -> None:
        case.q = case.q + np.radians(degrees) * rng.choice([-1, 1], case.q.shape[1])

    return apply


def in_degrees(case: Case, _: np.random.Generator) -> None:
    """Give readings in degrees."""
    case.q = np.degrees(case.q)


def mirrored(case: Case, _: np.random.Generator) -> None:
    """Mirror the images."""
    case.images = [np.ascontiguousarray(i[:, ::-1]) for i in case.images]


def another_lens(factor: float) -> Change:
    """Return intrinsics of another focal length."""

    def apply(case: Case, _: np.random.Generator) -> None:
        K = case.camera.K.copy()
        K[:2, :2] *= factor
        case.camera = PinholeCamera(K, case.camera.width, case.camera.height)

    return apply


def another_size(case: Case, _: np.random.Generator) -> None:
    """Give the intrinsics of half the resolution with images of the full one."""
    case.camera = case.camera.resized(case.camera.width // 2, case.camera.height // 2)


def part_of_readings(case: Case, _: np.random.Generator) -> None:
    """Reverse the order of the joints."""
    case.q = np.ascontiguousarray(case.q[:, ::-1])
