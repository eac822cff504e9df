"""Drawing on video frames: text in a good font, anti-aliased lines, colours. No plots here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int]

BACKGROUND: Colour = (16, 20, 28)
PANEL: Colour = (24, 30, 41)
GRID: Colour = (46, 56, 72)
TEXT: Colour = (232, 237, 243)
DIM: Colour = (140, 152, 170)
COMMAND: Colour = (79, 209, 197)
MEASURED: Colour = (140, 152, 170)
PLAN: Colour = (246, 173, 85)
OLD_PLAN: Colour = (112, 88, 62)
GOOD: Colour = (104, 211, 145)
BAD: Colour = (252, 129, 129)
SUBPIXEL = 4  # bits, for lines that do not jump from pixel to pixel


def polyline(image: Pixels, points: NDArray[np.float64], colour: Colour, width: int = 1) -> None:
    """Draw a line through (N, 2) points in pixels; points that are not finite end it."""
    known = np.isfinite(points).all(axis=1)
    if known.sum() < 2:
        return
    fixed = np.round(points[known] * (1 << SUBPIXEL)).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour, width, cv2.LINE_AA, SUBPIXEL)


def text(
    image: Pixels,
    at: tuple[int, int],
    words: str,
    size: int = 18,
    colour: Colour = TEXT,
    bold: bool = False,
    anchor: str = "left",
) -> None:
    """Write words with their top left (or right, or centre) at a point; cut at the edges."""
    mask = _mask(words, size, bold)
    height, width = mask.shape
    x = at[0] - {"left": 0, "centre": width // 2, "right": width}[anchor]
    left, top = max(0, x), max(0, at[1])
    right, bottom = min(image.shape[1], x + width), min(image.shape[0], at[1] + height)
    if right <= left or bottom <= top:
        return
    alpha = mask[top - at[1] : bottom - at[1], left - x : right - x, None]
    area = image[top:bottom, left:right]
    area[:] = area + ((np.array(colour) - area) * alpha).astype(np.int16)


def label(image: Pixels, at: tuple[int, int], words: str, size: int = 14) -> None:
    """Write words on a picture, whatever is in it."""
    text(image, (at[0] + 1, at[1] + 1), words, size, BACKGROUND, bold=True)
    text(image, at, words, size, TEXT, bold=True)


@lru_cache(maxsize=512)
def _mask(words: str, size: int, bold: bool) -> NDArray[np.float32]:
    font = _font(size, bold)
    box = font.getbbox(words or " ")
    picture = Image.new("L", (int(box[2]) + 2, int(size * 1.35)), 0)
    ImageDraw.Draw(picture).text((0, 0), words, fill=255, font=font)
    return np.asarray(picture, np.float32) / 255.0


@lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    # matplotlib ships this family: no font of the system is needed.
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    return ImageFont.truetype(str(folder / name), size)
