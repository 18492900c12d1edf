"""Phases without TensorFlow, for the tests of several machines."""
import os
import signal
import time
from pathlib import Path

from object_detection.utils.phases import Interrupted, Lost, NotFinite, OutOfMemory


def train_phase(report, stopping, model_dir, what, cluster):
    """Do what the list `what` says of this machine; `cluster` as layers.machines.Machines."""
    report('connecting')
    report('device', device='CPU', count=len(cluster['addresses']))
    mine = what[cluster['index']]
    Path(model_dir, f'ran-{cluster["index"]}').write_text(' '.join(cluster['addresses']))
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
    return {'index': cluster['index']}


def unconnected(report, stopping, model_dir, cluster):
    report('connecting')
    time.sleep(60)
