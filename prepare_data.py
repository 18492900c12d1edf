"""Turn folders of pictures, one per label, into records to train a detector on."""
from object_detection.commands.prepare_data import run

if __name__ == '__main__':
    run()
