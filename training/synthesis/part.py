"""The good part: slider body, pads, wires, coils and trailing edge, drawn at 1591x491."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HEIGHT, WIDTH = 491, 1591
BODY = (60, 66, 1531, 432)
"""left, top, right, bottom of the slider body, in pixels of an unshifted photograph"""
EDGE_TOP = 386
"""where the alumina overcoat of the trailing edge begins"""
PADS = tuple((60 + round((i + 0.5) * 1471 / 8) - 58, 112, 116, 96) for i in range(8))
"""left, top, width, height of the eight bond pads"""
COIL = (795, 318)

GOLD, COPPER = np.array([206, 172, 98.0]), np.array([182, 112, 68.0])
CERAMIC, ALUMINA = np.array([112, 116, 122.0]), np.array([142, 148, 156.0])


@dataclass(frozen=True)
class Pose:
    """Where the part lies under the camera: a turn about the middle and a shift."""

    angle_deg: float
    shift: tuple[float, float]

    @classmethod
    def draw(cls, random: np.random.Generator) -> Pose:
        return cls(float(random.uniform(-0.8, 0.8)), (float(random.uniform(-7, 7)), float(random.uniform(-6, 6))))

    def place(self, points: np.ndarray) -> np.ndarray:
        """Part coordinates (N, 2) to photograph coordinates (N, 2)."""
        turn = np.deg2rad(self.angle_deg)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        middle = np.array([WIDTH / 2, HEIGHT / 2])
        return (np.asarray(points, float) - middle) @ matrix.T + middle + self.shift


def fill(image: np.ndarray, points: np.ndarray, colour: np.ndarray | tuple | int) -> None:
    """Fill a polygon given in photograph coordinates, to a sixteenth of a pixel."""
    fixed = np.round(np.asarray(points) * 16).astype(np.int32)
    value = tuple(float(v) for v in np.atleast_1d(colour))
    cv2.fillPoly(image, [fixed], value, lineType=cv2.LINE_AA if image.ndim == 3 else cv2.LINE_8, shift=4)


def rectangle(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]], float)


def ellipse(centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x, y = radii[0] * np.cos(t), radii[1] * np.sin(t)
    return np.column_stack([centre[0] + x * np.cos(turn) - y * np.sin(turn), centre[1] + x * np.sin(turn) + y * np.cos(turn)])


def cloud(random: np.random.Generator, cell: int, channels: int = 1) -> np.ndarray:
    """Smooth noise of unit variance, (H, W) or (H, W, channels) float32, with features of about ``cell`` pixels."""
    small = random.standard_normal((HEIGHT // cell + 3, WIDTH // cell + 3, channels)).astype(np.float32)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


@dataclass
class Part:
    """A drawn part and where its pieces lie, for the defects to aim at."""

    image: np.ndarray
    """(H, W, 3) float32 RGB, 0..255"""
    body: np.ndarray
    """(H, W) bool"""
    pads: np.ndarray
    """(H, W) bool"""
    pose: Pose


def draw_part(random: np.random.Generator) -> Part:
    """A part without defects; every part differs a little in tone, texture and pose."""
    pose = Pose.draw(random)
    tone = lambda colour, spread=6.0: colour + random.normal(0, spread, 3) + random.normal(0, spread)  # noqa: E731
    canvas = np.empty((HEIGHT, WIDTH, 3), np.float32)
    canvas[:] = tone(np.array([34, 36, 40.0]), 5)
    left, top, right, bottom = BODY
    outline = pose.place(rectangle(left, top, right - left, bottom - top))
    fill(canvas, outline, tone(CERAMIC))
    fill(canvas, pose.place(rectangle(left, EDGE_TOP, right - left, bottom - EDGE_TOP)), tone(ALUMINA))
    body = np.zeros((HEIGHT, WIDTH), np.uint8)
    fill(body, outline, 1)

    copper, gold = tone(COPPER), tone(GOLD)
    pads = np.zeros((HEIGHT, WIDTH), np.uint8)
    for index, (x, y, w, h) in enumerate(PADS):  # the wire of each pad runs to the coil
        target_x = COIL[0] + (index - 3.5) * 34
        wire = np.array([[x + w / 2, y + h], [x + w / 2, y + h + 22 + 5 * abs(index - 3.5)], [target_x, COIL[1] - 28]])
        points = np.round(pose.place(wire) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, tuple(map(float, copper)), 7, cv2.LINE_AA, 4)
    for x, y, w, h in PADS:
        corners = pose.place(rectangle(x, y, w, h))
        fill(canvas, corners, gold + random.normal(0, 3, 3))
        fill(pads, corners, 1)
        mark = (x + w / 2 + random.normal(0, 9), y + h / 2 + random.normal(0, 8))  # the tester's probe leaves a dent
        fill(canvas, pose.place(ellipse(mark, (random.uniform(4, 8), random.uniform(3, 6)))), gold * random.uniform(0.7, 0.9))
    for turn in range(5):
        radii = (150 - 24 * turn, 46 - 7 * turn)
        points = np.round(pose.place(ellipse(COIL, radii)) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], True, tuple(map(float, copper)), 8, cv2.LINE_AA, 4)
    fill(
        canvas,
        pose.place(rectangle(COIL[0] - 13, COIL[1] - 13, 26, EDGE_TOP - COIL[1] + 20)),
        tone(np.array([176, 180, 186.0])),
    )
    fill(canvas, pose.place(rectangle(COIL[0] - 7, EDGE_TOP - 4, 14, 26)), tone(np.array([64, 60, 66.0])))

    # lapping leaves fine streaks along the body; ceramic grain is coarser than the sensor's noise
    streaks = cv2.GaussianBlur(random.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigmaX=24, sigmaY=0.7)
    grain = cv2.GaussianBlur(random.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.2)
    texture = streaks * (random.uniform(2, 6) / streaks.std()) + grain * (random.uniform(1.5, 4) / grain.std())
    canvas += texture[..., None] * np.where(body, 1.0, 0.4).astype(np.float32)[..., None]
    return Part(canvas, body.astype(bool), pads.astype(bool), pose)
