"""Draw the demo's pictures: one folder per label, one object per picture, each on a background of its own.

    python -m demo.make_scenes --output out/demo/pictures --per_label 80

The same seed gives the same bytes (with the same version of Pillow). `scene` also returns the object's box.
"""
import argparse
import math
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LABELS = ('cross', 'disc', 'star', 'triangle')
OVERSAMPLING = 4  # shapes are drawn this much larger, then shrunk, to get smooth edges


def scene(rng: np.random.Generator, label: str) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Draw one picture of `label`.

    Args:
        rng: the only source of randomness.
        label: one of LABELS.
    Returns:
        image: uint8 [height, width, 3], 160 to 280 pixels a side.
        box: (ymin, xmin, ymax, xmax) of the object, normalized to 0..1.
    """
    height, width = (int(side) for side in rng.integers(160, 281, 2))
    image = _background(rng, height, width)
    points = _outline(rng, label, height, width)
    shape = Image.new('L', (width * OVERSAMPLING, height * OVERSAMPLING))
    ImageDraw.Draw(shape).polygon([tuple(p) for p in points * OVERSAMPLING], fill=255)
    cover = np.asarray(shape.resize((width, height), Image.Resampling.BOX), np.float32)[..., None] / 255
    image = image * (1 - cover) + _paint(rng, image, cover) * cover
    image += rng.normal(0, rng.uniform(1, 6), image.shape)
    (xmin, ymin), (xmax, ymax) = points.min(0), points.max(0)
    return np.clip(image, 0, 255).astype(np.uint8), (ymin / height, xmin / width, ymax / height, xmax / width)


def photograph(seed: int, width: int = 4000, height: int = 3000) -> Image.Image:
    """Draw an RGB picture with detail at all scales, like a photograph: noise that gets weaker as it gets finer."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 128, np.float32)
    for columns in (8, 32, 128, 512, 2048):
        noise = rng.normal(size=(columns * height // width, columns, 3)).astype(np.float32) * (60 / columns ** 0.35)
        for channel in range(3):
            layer = Image.fromarray(noise[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(layer)
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def write_pictures(output: str | PathLike, per_label: int, seed: int = 0) -> int:
    """Write output/<label>/NNN.jpg, `per_label` pictures of each label, and return the number of pictures."""
    for label in LABELS:
        folder = Path(output, label)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_label):
            image, _ = scene(np.random.default_rng([seed, LABELS.index(label), number]), label)
            Image.fromarray(image).save(folder / f'{number:03d}.jpg', quality=90)
    return per_label * len(LABELS)


def _background(rng, height, width):
    """Draw a color gradient, clouds, and distracting thin lines and specks: float32 [height, width, 3]."""
    first, second = rng.uniform(20, 235, (2, 3))
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]
    ramp = ((x - .5) * math.cos(angle) + (y - .5) * math.sin(angle) + .7) / 1.4
    image = (first + (second - first) * ramp[..., None]).astype(np.float32)
    clouds = Image.fromarray(rng.integers(0, 256, (*rng.integers(3, 9, 2), 3), np.uint8))
    clouds = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    image += (clouds - 128) * rng.uniform(.05, .35)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 9)):
        (x0, x1), (y0, y1) = rng.uniform(0, width, 2), rng.uniform(0, height, 2)
        draw.line((x0, y0, x1, y1), fill=_color(rng), width=int(rng.integers(1, 4)))
    for _ in range(rng.integers(0, 9)):
        x0, y0, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(3, 12)
        draw.ellipse((x0, y0, x0 + size, y0 + size), fill=_color(rng))
    return np.asarray(picture, np.float32)


def _outline(rng, label, height, width):
    """Return the object's corners in pixels, float [n, 2] as (x, y), all inside the picture."""
    if label == 'disc':
        points = _polar(np.linspace(0, 2 * math.pi, 72, endpoint=False), np.ones(72))
    elif label == 'triangle':
        points = _polar(np.arange(3) * 2 * math.pi / 3, np.ones(3))
    elif label == 'star':
        points = _polar(np.arange(10) * math.pi / 5, np.tile([1, .42], 5))
    else:
        a = rng.uniform(.25, .4)  # half the width of the cross's bars
        points = np.array([(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a),
                           (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)])
    turn = rng.uniform(0, 2 * math.pi)
    rotation = np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
    points = points @ rotation * rng.uniform(.85, 1.15, 2)
    points *= min(height, width) * rng.uniform(.3, .65) / np.ptp(points, axis=0).max()
    room = np.array([width, height]) - np.ptp(points, axis=0)
    return points - points.min(0) + room * rng.uniform(.02, .98, 2)


def _polar(angles, radii):
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1)


def _paint(rng, image, cover):
    """Return a color that stands out from the background, with a horizontal gradient: [width, 3]."""
    behind = (image * cover).sum((0, 1)) / cover.sum()
    color = max((rng.uniform(0, 255, 3) for _ in range(4)), key=lambda c: np.abs(c - behind).sum())
    shade = np.linspace(-1, 1, image.shape[1])[:, None] * rng.uniform(-30, 30)
    return color + shade


def _color(rng):
    return tuple(int(c) for c in rng.integers(0, 256, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description='Draw the demo pictures, one folder per label.')
    parser.add_argument('--output', default='out/demo/pictures', help='folder for the labels (default: %(default)s)')
    parser.add_argument('--per_label', type=int, default=80, help='pictures per label (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    count = write_pictures(args.output, args.per_label, args.seed)
    print(f'{count} pictures of {", ".join(LABELS)} in {args.output}')


if __name__ == '__main__':
    main()
