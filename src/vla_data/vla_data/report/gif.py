"""A small moving picture of a film, for pages that play no video."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

from vla_core.errors import ConfigurationError

RATE_HZ = 5.0
WIDTHS = (560, 480, 400, 320)  # [px], the first that fits
COLOURS = 64
HOLD_MS = 1500  # the last picture stays before it begins again
LARGEST = 1_000_000  # [bytes]


def make_gif(film: Path, path: Path, seconds: float, largest: int = LARGEST) -> None:
    """Write the first seconds of a film as a GIF, as wide as fits into ``largest`` bytes.

    Raises:
        ConfigurationError: the film is empty, or even the smallest picture does not fit.
    """
    pictures = _pictures(film, seconds)
    if not pictures:
        raise ConfigurationError(f"{film} has no pictures to show")
    path.parent.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        _write([_small(picture, width) for picture in pictures], path)
        if path.stat().st_size <= largest:
            return
    size = path.stat().st_size
    path.unlink()
    raise ConfigurationError(
        f"{seconds:.0f} s of {film} take {size} bytes at {WIDTHS[-1]} px, at most {largest} are "
        "meant: show less of it"
    )


def _pictures(film: Path, seconds: float) -> list[Image.Image]:
    pictures: list[Image.Image] = []
    with av.open(str(film)) as container:
        for frame in container.decode(container.streams.video[0]):
            if frame.time is None or frame.time > seconds:
                break
            if frame.time >= len(pictures) / RATE_HZ:
                pictures.append(frame.to_image())
    return pictures


def _small(picture: Image.Image, width: int) -> Image.Image:
    height = round(picture.height * width / picture.width)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    # Without dithering: noise that differs from picture to picture does not compress.
    return small.quantize(COLOURS, dither=Image.Dither.NONE)


def _write(pictures: list[Image.Image], path: Path) -> None:
    step_ms = round(1000 / RATE_HZ)
    durations = [step_ms] * (len(pictures) - 1) + [HOLD_MS]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
    )
