"""Train and evaluate in turn, until num_steps."""
from object_detection.commands.train_and_eval_tf2 import run

if __name__ == '__main__':
    run()
