"""Phases without TensorFlow, for the tests of several machines."""
import os
import signal
import time
from pathlib import Path

from object_detection.utils.phases import Interrupted, Lost, NotFinite, OutOfMemory


def train_phase(report, stopping, model_dir, what, workers):
    """Do what the list `what` says of this machine; `workers` as layers.workers.Workers."""
    report('connecting')
    report('device', device='CPU', count=len(workers['addresses']))
    mine = what[workers['index']]
    Path(model_dir, f'ran-{workers["index"]}').write_text(' '.join(workers['addresses']))
    if mine == 'killed':
        os.kill(os.getpid(), signal.SIGKILL)
    elif mine == 'lost':
        raise Lost('another machine no longer answers')
    elif mine == 'memory':
        raise OutOfMemory('no memory')
    elif mine == 'nan':
        raise NotFinite('the loss is not finite', step=3)
    elif mine == 'hang':
        time.sleep(60)
    elif mine == 'until stopped':
        while not stopping():
            time.sleep(.05)
        raise Interrupted('stopped as asked')
    return {'index': workers['index']}


def unconnected(report, stopping, model_dir, workers):
    report('connecting')
    time.sleep(60)
