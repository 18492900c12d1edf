"""Turn COCO annotations into records: boxes, and on request masks, person keypoints and DensePose."""
from object_detection.dataset_tools.create_coco_tf_record import run

if __name__ == '__main__':
    run()
