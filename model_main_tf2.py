"""Train until num_steps, or evaluate a folder of checkpoints with --checkpoint_dir."""
from object_detection.commands.model_main_tf2 import run

if __name__ == '__main__':
    run()
