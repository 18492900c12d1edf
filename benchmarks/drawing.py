"""Draw the same scenes with visualization_utils and with the reference's, and print how many pixels differ.

    python benchmarks/drawing.py --reference_python ~/reference_env/bin/python --output out/drawing

Writes a PNG for each scene: ours, the reference's, and where they differ. `--one FILE` draws with whatever
object_detection this interpreter finds.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NAMES = {1: {'id': 1, 'name': 'person'}, 2: {'id': 2, 'name': 'café'}, 18: {'id': 18, 'name': 'a long class name'}}


def scenes():
    """Return {name: image} drawn with this interpreter's object_detection."""
    from object_detection.utils import visualization_utils as vis
    random = np.random.default_rng(7)
    height, width, count = 360, 480, 12
    base = random.integers(0, 256, [height // 8, width // 8, 3]).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    corners = np.sort(random.uniform(-.05, 1.05, [count, 2, 2]), 1)
    boxes = corners.reshape(count, 4).astype(np.float32)
    classes = random.choice([1, 2, 18, 77], count)
    scores = np.linspace(.99, .41, count).astype(np.float32)
    masks = (random.uniform(0, 1, [count, height, width]) < .5).astype(np.uint8)
    masks &= ((np.arange(height)[:, None] // 30 + np.arange(width) // 30 + np.arange(count)[:, None, None]) % 5 == 0)
    keypoints = (boxes[:, None, :2] + random.uniform(0, 1, [count, 5, 2]) * (boxes[:, None, 2:] - boxes[:, None, :2])
                 ).astype(np.float32)
    keypoint_scores = random.uniform(0, 1, [count, 5]).astype(np.float32)
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 9)]
    twice = np.concatenate([boxes[:3], boxes[:3]])
    pixels = boxes * [height, width, height, width]

    def draw(image=base, boxes=boxes, classes=classes, scores=scores, **options):
        options = {'use_normalized_coordinates': True, **options}
        return vis.visualize_boxes_and_labels_on_image_array(image.copy(), boxes, classes, scores, NAMES, **options)

    def on_picture(function, *args, **options):
        from PIL import Image
        picture = Image.fromarray(base)
        function(picture, *args, **options)
        return np.array(picture)

    shapes = np.array([[200, 300, 3]] * 2, np.int32)
    tensors = [np.stack([base] * 2), np.stack([boxes] * 2), np.stack([classes] * 2).astype(np.int64),
               np.stack([scores] * 2)]
    masked = draw(instance_masks=masks)
    return {
        'boxes': draw(),
        'low_threshold': draw(min_score_thresh=.1, max_boxes_to_draw=None),
        'pixels': draw(boxes=pixels, use_normalized_coordinates=False),
        'thick': draw(line_thickness=9),
        'thin': draw(line_thickness=1),
        'several_labels_of_a_box': draw(boxes=twice, scores=scores[:6], classes=classes[:6]),
        'groundtruth': draw(scores=None, groundtruth_box_visualization_color='lime'),
        'agnostic': draw(agnostic_mode=True),
        'tracks': draw(track_ids=np.arange(count) * 3),
        'skipped': draw(skip_scores=True, skip_boxes=True, track_ids=np.arange(count)),
        'no_text': draw(skip_scores=True, skip_labels=True, skip_track_ids=True),
        'masks': masked,
        'faint_masks': draw(instance_masks=masks, mask_alpha=.15),
        'boundaries': draw(instance_boundaries=masks),
        'keypoints': draw(keypoints=keypoints, keypoint_edges=edges),
        'keypoint_scores': draw(keypoints=keypoints, keypoint_scores=keypoint_scores, keypoint_edges=edges,
                                line_thickness=7),
        'box_lists': on_picture(vis.draw_bounding_boxes_on_image, boxes, 'gold', 2, [['a', 'b'], ['c']] * 6),
        'keypoint_list': on_picture(vis.draw_keypoints_on_image, keypoints[0], keypoint_edges=edges, radius=4),
        'heatmaps': vis.draw_heatmaps_on_image_array(base, np.moveaxis(masks[:3], 0, -1) * .6),
        'parts': _changed(vis.draw_part_mask_on_image_array, base, masks.argmax(0).astype(np.uint8)),
        'tensors': np.concatenate(list(_tensors(vis, tensors, shapes, edges, keypoints, masks)), 1),
    }


def _changed(function, image, *args):
    image = image.copy()
    function(image, *args)
    return image


def _tensors(vis, tensors, shapes, edges, keypoints, masks):
    return vis.draw_bounding_boxes_on_image_tensors(
        *tensors, NAMES, original_image_spatial_shape=shapes[:, :2] + 40, true_image_shape=shapes,
        keypoints=np.stack([keypoints] * 2), keypoint_edges=edges,
        instance_masks=np.stack([masks[:, :240, :340]] * 2)).numpy()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference_python', metavar='PATH', help="of benchmarks/reference_env.sh's environment")
    parser.add_argument('--output', metavar='FOLDER', type=Path, default=Path('out/drawing'))
    parser.add_argument('--one', metavar='FILE', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        if os.environ['PYTHONPATH'] != str(ROOT):
            import compat  # noqa: F401 (lets the reference run)
        np.savez(args.one, **scenes())
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    for python, path, name in ((sys.executable, ROOT, 'ours'),
                               (args.reference_python, ROOT / 'benchmarks' / 'reference', 'reference')):
        subprocess.run([python, __file__, '--one', args.output / f'{name}.npz'], check=True, stderr=subprocess.DEVNULL,
                       env={**os.environ, 'PYTHONPATH': str(path), 'CUDA_VISIBLE_DEVICES': '-1'})
    compare(args.output)
    return 0


def compare(folder: Path) -> None:
    """Print a line for each scene and write its picture."""
    from PIL import Image
    ours, reference = (np.load(folder / f'{name}.npz') for name in ('ours', 'reference'))
    print('| scene | pixels | differ | largest difference |\n|---|---|---|---|')
    for name in ours:
        difference = np.abs(ours[name].astype(int) - reference[name]).max(-1)
        print(f'| {name} | {difference.size} | {np.count_nonzero(difference)} | {difference.max()} of 255 |')
        shown = np.repeat(255 - 255 * (difference > 0)[..., None], 3, -1).astype(np.uint8)
        Image.fromarray(np.concatenate([ours[name], reference[name], shown], 1)).save(folder / f'{name}.png')


if __name__ == '__main__':
    sys.exit(main())
