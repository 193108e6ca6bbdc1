"""Make docs/images from pictures that `poplar-py render` drew: reduced, compact, no metadata but the counts.

    python tools/gallery_images.py FOLDER_OF_PNGS [width]

Every NAME.png of the folder becomes docs/images/NAME.jpg of `width` (1600) pixels and at most LIMIT bytes.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

LIMIT = 400_000  # bytes of one picture
IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def reduced(source: Path, width: int) -> bytes:
    """JPEG bytes of the best quality from 88 down that keeps within LIMIT."""
    picture = Image.open(source).convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    for quality in range(88, 40, -4):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
        if out.tell() <= LIMIT:
            break
    return out.getvalue()


def main(folder: str, width: str = "1600") -> None:
    for source in sorted(Path(folder).glob("*.png")):
        data = reduced(source, int(width))
        (IMAGES / f"{source.stem}.jpg").write_bytes(data)
        print(f"{source.stem}.jpg: {len(data):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
