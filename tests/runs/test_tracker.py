"""--tracker mlflow: what is in MLflow equals run.json and the TensorBoard files, and a resume continues the run."""
import importlib.util
import json
from pathlib import Path

import pytest

from object_detection.commands import reports, train_and_eval_tf2
from object_detection.evaluation import summaries
from object_detection.runs import tracker
from object_detection.runs.record import Record
from object_detection.utils import phases
from object_detection.utils.errors import UserError
from tests.support import tiny

MAP, LOSS = 'DetectionBoxes_Precision/mAP@.50IOU', 'Loss/total_loss'
DATA = {'digest': 'aa', 'records': 5, 'bytes': 9, 'labels': {}, 'files': [{'path': 'x', 'records': 5, 'digest': 'b'}]}
# Not in requirements-dev.txt: the client brings 34 packages, fastapi and databricks-sdk among them.
needed = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in ('mlflow', 'sqlalchemy', 'alembic')),
                            reason="MLflow is not installed here (pip install '.[mlflow]')")


def train(folder, steps, rate, outcome=phases.DONE):
    """A start that trained these steps and evaluated the last one."""
    record = Record(folder)
    record.start(f'train_config {{ batch_size: 4 optimizer {{ adam_optimizer {{ epsilon: {rate} }} }} }}',
                 {'train_input_reader': DATA}, trains=True, command=['train', 'x'], changes=[], warnings=[],
                 versions={'Python': '3.12'},
                 machine={'processor': 'Z80', 'cores': 2, 'memory_gb': None, 'gpus': [], 'system': 'CP/M'})
    record.phase('train').end(phases.Outcome(outcome, data={'step': steps[-1]}))
    record.add('eval', f'ckpt-{steps[-1]}', steps[-1], [(MAP, steps[-1] / 100), (LOSS, float('nan'))])
    with summaries.Writer(folder / 'train') as writer:
        for step in steps:
            writer.scalars(step, [(LOSS, 1 / step)])


@needed
def test_parameters_metrics_and_artifacts(tmp_path, monkeypatch):
    from mlflow import MlflowClient
    uri = f'sqlite:///{(tmp_path / "mlflow.db").as_posix()}'
    monkeypatch.setenv('MLFLOW_TRACKING_URI', uri)
    (elsewhere := tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(elsewhere)
    folder = tmp_path / 'model'
    train(folder, [10, 20], 1e-8)
    reports.main([str(folder), '--tracker', 'mlflow'])
    client = MlflowClient(uri)
    known = json.loads((folder / 'run.json').read_text())['mlflow']
    run = client.get_run(known['run_id'])
    assert run.info.status == 'RUNNING' and run.info.run_name == 'model'
    assert run.data.params == {'train_config.batch_size': '4', 'train_config.optimizer.adam_optimizer.epsilon': '1e-08'}

    train(folder, [15, 20, 30], 1e-6, phases.NOT_FINITE)  # steps 15 and 20 once more, after a kill
    reports.main([str(folder), '--tracker', 'mlflow', '--ended'])
    assert [found.info.run_id for found in client.search_runs([run.info.experiment_id])] == [run.info.run_id]
    run = client.get_run(known['run_id'])
    assert run.info.status == 'FAILED'
    assert run.data.tags['changed.train_config.optimizer.adam_optimizer.epsilon'] == '1e-06'
    assert (run.data.tags['Python'], run.data.tags['data.train_input_reader']) == ('3.12', 'aa')

    def history(tag):
        return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, tag)]

    assert history('eval/DetectionBoxes_Precision/mAP_.50IOU') == [(20, .2), (30, .3)]
    assert history(f'train/{LOSS}') == [(10, pytest.approx(.1)), (20, pytest.approx(.05)), (30, pytest.approx(1 / 30))]
    assert f'eval/{LOSS}' not in run.data.metrics
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} == {
        'summary.html', 'pipeline.config', 'run.json'}
    kept = client.download_artifacts(run.info.run_id, 'pipeline.config', str(tmp_path))
    assert 'epsilon: 1e-06' in Path(kept).read_text(encoding='utf-8')
    assert (tmp_path / 'mlartifacts' / run.info.run_id / 'artifacts' / 'run.json').exists()
    assert not list(elsewhere.iterdir())


@needed
def test_without_an_address_it_goes_into_the_model_dir_and_nowhere_else(tmp_path, monkeypatch):
    from mlflow import MlflowClient
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    (elsewhere := tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(elsewhere)
    folder = tmp_path / 'model'
    train(folder, [10], 1e-8)
    reports.main([str(folder), '--tracker', 'mlflow', '--ended'])
    uri = tracker.tracking_uri(folder)
    assert uri.endswith('/model/mlflow/mlflow.db')
    run = MlflowClient(uri).get_run(json.loads((folder / 'run.json').read_text())['mlflow']['run_id'])
    assert run.info.status == 'FINISHED' and run.info.artifact_uri.startswith((folder / 'mlflow').resolve().as_uri())
    assert sorted(path.name for path in (folder / 'mlflow').iterdir()) == ['mlartifacts', 'mlflow.db']
    assert not list(elsewhere.iterdir())


def test_files_lie_beside_a_local_database():
    assert tracker.artifact_location('https://mlflow.example.com') is None
    assert tracker.artifact_location('file:///data/mlruns') is None
    local = tracker.artifact_location(f'sqlite:///{(Path.cwd() / "runs" / "mlflow.db").as_posix()}')
    assert local == (Path.cwd() / 'runs' / 'mlartifacts').as_uri()


def test_without_mlflow_it_is_one_line_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(tracker.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(phases, 'Worker', lambda preload: pytest.fail('a process was started'))
    config = tiny.write(tmp_path)
    with pytest.raises(UserError, match=r"MLflow is not installed; pip install '\.\[mlflow\]'"):
        train_and_eval_tf2.main(['--model_dir', str(tmp_path / 'model'), '--pipeline_config_path', str(config),
                                 '--tracker=mlflow'])
    assert not (tmp_path / 'model').exists()


def test_another_tracker_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        reports.main([str(tmp_path), '--tracker', 'wandb'])
    assert end.value.code == 2 and "invalid choice: 'wandb'" in capsys.readouterr().err


