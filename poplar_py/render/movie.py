"""Frames to a file: .gif and .webp by Pillow, .mp4 by the encoder of imageio-ffmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import FileLoadError, MissingTool

_HOLD = 1.5  # seconds that the last frame stays


def write_movie(
    path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], frames_per_second: int, count: int
) -> None:
    """Write `count` frames (height, width, 3) uint8 as they come; the last one stays a while.

    Raises MissingTool where .mp4 is asked for without imageio-ffmpeg, before anything is drawn.
    """
    suffix = path.suffix.lower()
    if suffix == ".mp4":
        _write_mp4(path, frames, size, frames_per_second)
        return
    from PIL import Image

    first = Image.fromarray(next(frames))
    each = round(1000 / frames_per_second)
    durations = [each] * (count - 1) + [round(1000 * _HOLD)]
    if suffix == ".gif":
        palette = first.quantize(255, Image.Quantize.MEDIANCUT)

        def quantized() -> Iterator[Image.Image]:
            for pixels in frames:
                yield Image.fromarray(pixels).quantize(255, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

        palette.save(path, save_all=True, append_images=quantized(), duration=durations, loop=0, optimize=False)
        return
    rest = (Image.fromarray(pixels) for pixels in frames)
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, quality=76, method=3)


def encoder() -> str:
    """The program that writes .mp4. Raises MissingTool."""
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise MissingTool(
            ".mp4 needs an encoder, which is not installed: pip install imageio-ffmpeg (or 'poplar_py[video]');"
            " .webp and .gif need nothing more"
        ) from None


def _write_mp4(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], frames_per_second: int) -> None:
    command = [
        encoder(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}",
        "-r", str(frames_per_second), "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264",
        "-preset", "medium", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stderr is not None
        last = None
        try:
            for last in frames:
                running.stdin.write(np.ascontiguousarray(last).tobytes())
            for _ in range(round(_HOLD * frames_per_second) if last is not None else 0):
                running.stdin.write(np.ascontiguousarray(last).tobytes())
            running.stdin.close()
        except BrokenPipeError:
            pass
        said = running.stderr.read().decode(errors="replace").strip()
        if running.wait():
            raise FileLoadError(f"cannot write {path}: the encoder said: {said[-300:]}")
