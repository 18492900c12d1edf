"""Turn the Oxford-IIIT Pet data set into records: faces, or whole bodies with masks."""
from object_detection.dataset_tools.create_pet_tf_record import run

if __name__ == '__main__':
    run()
