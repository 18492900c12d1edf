"""Turn a Pascal VOC data set into records."""
from object_detection.dataset_tools.create_pascal_tf_record import run

if __name__ == '__main__':
    run()
