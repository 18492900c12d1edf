"""Run the whole preparation without a detector."""
import pytest

from object_detection.preparation.options import Options
from object_detection.preparation.run import prepare


@pytest.fixture
def run(tmp_path):
    """run(dataset, name='out', **options) prepares with boxes='whole' by default and returns the output folder."""
    def run(dataset, name='out', **options):
        output = tmp_path / name
        prepare(Options(dataset, output, **({'boxes': 'whole'} | options)))
        return output
    return run
