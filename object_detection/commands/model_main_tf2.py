"""Train until num_steps, or evaluate a folder of checkpoints with --checkpoint_dir.

    python model_main_tf2.py --model_dir models/d1 --pipeline_config_path models/d1/pipeline.config
    python model_main_tf2.py --model_dir models/d1 --pipeline_config_path models/d1/pipeline.config \\
        --checkpoint_dir models/d1      # in another terminal, during the training or after it

These are the TF2 Object Detection API's command and flags. train_and_eval_tf2.py is the same program, which evaluates
each checkpoint between two phases of the training, so that one GPU is enough for both.
"""
from collections.abc import Sequence

from object_detection.commands import train_and_eval_tf2
from object_detection.utils import errors


def main(argv: Sequence[str] | None = None) -> None:
    train_and_eval_tf2.main(argv, __doc__, evaluate=False)


def run() -> None:
    """Run main; a user's mistakes end it with a message and an exit code."""
    errors.run_main(main)
