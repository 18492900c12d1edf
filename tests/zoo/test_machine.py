"""Batch sizes by memory, for imaginary machines and with an imaginary nvidia-smi."""
import subprocess
from pathlib import Path

import pytest

from object_detection.config import pipeline
from object_detection.zoo import machine
from object_detection.zoo.machine import Machine

CONFIGS = Path(__file__).parents[1] / 'golden' / 'configs'
D0 = 'zoo_efficientdet_d0_coco17_tpu-32'
RETINA = 'ssd_resnet50_v1_fpn_640x640_coco17_tpu-8'


def released(name):
    return pipeline.read(CONFIGS / f'{name}.config')


def batch(name, gpus, memory, **others):
    return machine.batch_size(released(name), machine=Machine('some GPU', gpus, memory), **others)[0]


def test_more_memory_takes_more_pictures():
    sizes = [batch(D0, 1, memory) for memory in (4, 8, 12, 24, 80)]
    assert sizes == sorted(sizes) and sizes[0] >= 1 and sizes[-1] > 8 * sizes[0]
    assert all(size & (size - 1) == 0 for size in sizes)  # powers of two


def test_limits():
    assert batch(D0, 1, 10_000) == 128  # what the released config has
    assert batch(D0, 1, 10_000, records=20) == 16
    assert batch(RETINA, 1, 1) == 1
    assert batch(D0, 4, 10_000, records=20) == 16
    assert batch(D0, 4, 24) == 4 * batch(D0, 1, 24)
    assert batch(D0, 0, 10_000) == 4  # a CPU
    assert batch(D0, 0, None) >= 1


def test_the_reason_names_the_machine():
    _, why = machine.batch_size(released(D0), machine=Machine('RTX', 2, 24))
    assert '2 x RTX with 24 GB' in why and '512x512' in why and '--batch_size' in why


def test_pictures_of_different_sizes_are_batches_of_one():
    section = released(D0)
    section.model.ssd.image_resizer.keep_aspect_ratio_resizer.pad_to_max_dimension = False
    assert machine.batch_size(section, machine=Machine('RTX', 1, 24))[0] == 1


@pytest.mark.parametrize(('visible', 'expected'), [
    (None, Machine('B, small', 2, 11811160064 / 1e9)), ('0', Machine('A', 1, 85899345920 / 1e9)), ('', None),
    ('-1', None), ('GPU-8932f937', Machine('A', 1, 85899345920 / 1e9)), ('7', None)])
def test_the_smallest_of_the_visible_gpus_counts(monkeypatch, visible, expected):
    def smi(command, **_):
        assert command[0] == 'nvidia-smi'
        return subprocess.CompletedProcess(command, 0, 'A, 81920\n"B, small", 11264\nbroken, [N/A]\n')
    monkeypatch.setattr(subprocess, 'run', smi)
    if visible is None:
        monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    else:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = machine.look()
    assert found == expected if expected else found.gpus == 0


@pytest.mark.parametrize('error', [FileNotFoundError(), subprocess.TimeoutExpired('nvidia-smi', 20)])
def test_no_driver(monkeypatch, error):
    def fail(*_, **__):
        raise error
    monkeypatch.setattr(subprocess, 'run', fail)
    assert machine.look().gpus == 0
