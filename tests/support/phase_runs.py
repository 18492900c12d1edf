"""Run the phases in the test's own process, and read the TensorBoard events that they write."""
import tensorflow as tf

from object_detection.evaluation import evaluator
from object_detection.training import train


class Log:
    """Stands for report: collects the events of a phase."""

    def __init__(self):
        self.events = []

    def __call__(self, event, /, **values):
        self.events.append((event, values))

    def of(self, event):
        return [values for name, values in self.events if name == event]

    def losses(self):
        return {values['step']: values['values']['Loss/total_loss'] for values in self.of('log')}


def run(folder, config, until, stopping=lambda: False, **arguments):
    """Run a train phase in this process; return (log, data)."""
    log = Log()
    data = train.train(log, stopping, config, str(folder), until,
                       **{'checkpoint_every_n': 1000, 'log_every_n': 1, **arguments})
    return log, data


def evaluated(folder, config, **arguments):
    """Run an evaluation phase in this process; return (log, data)."""
    log = Log()
    return log, evaluator.evaluate(log, lambda: False, config, str(folder), **arguments)


def events(folder):
    """Return {(tag, step): (plugin, tensor)} of all event files in a folder."""
    found = {}
    for path in folder.glob('events*'):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag, event.step] = value.metadata.plugin_data.plugin_name, tf.make_ndarray(value.tensor)
    return found
