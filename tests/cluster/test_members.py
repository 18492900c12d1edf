"""Who trains together: options, TF_CONFIG and SLURM's environment, with TensorFlow's resolver as the judge."""
import json

import pytest

from object_detection.cluster import members
from object_detection.utils.errors import UserError


def tf_config(cluster, kind='worker', index=0):
    return {'TF_CONFIG': json.dumps({'cluster': cluster, 'task': {'type': kind, 'index': index}})}


def slurm(nodes, counts, tasks, rank):
    return {'SLURM_STEP_NODELIST': nodes, 'SLURM_STEP_TASKS_PER_NODE': counts, 'SLURM_STEP_NUM_TASKS': str(tasks),
            'SLURM_PROCID': str(rank)}


def test_options_come_before_tf_config():
    found = members.find('a:1, b:2', 1, tf_config({'worker': ['c:1', 'd:1', 'e:1']}))
    assert found.addresses == ('a:1', 'b:2') and found.index == 1 and found.source == '--workers'
    assert found.name(0) == 'the chief, machine 0 (a:1)' and found.name(1) == 'machine 1 (b:2)'


def test_tf_config():
    found = members.find(None, None, tf_config({'worker': ['c:1', '[::1]:7']}, index=1))
    assert found.addresses == ('c:1', '[::1]:7') and found.index == 1
    assert members.host(found.addresses[1]) == '::1' and members.port(found.addresses[1]) == 7
    found = members.find(None, None, tf_config({'chief': ['c:1'], 'worker': ['d:1', 'e:1']}, index=1))
    assert found.addresses == ('c:1', 'd:1', 'e:1') and found.index == 2
    assert members.find(None, None, tf_config({'chief': ['c:1'], 'worker': ['d:1']}, 'chief')).index == 0


@pytest.mark.parametrize('environment', [
    {}, {'TF_CONFIG': ''}, {'TF_CONFIG': '{}'}, tf_config({'worker': ['a:1']}), slurm('n1', '1', 1, 0),
    {'SLURM_JOB_NODELIST': 'n[1-2]'}])
def test_one_machine(environment):
    assert members.find(None, None, environment) is None


def test_one_worker_is_one_machine():
    assert members.find('a:1', 0, {}) is None


@pytest.mark.parametrize(('nodes', 'counts', 'tasks'), [
    ('n[1-2],m5,o[3-4,06,7-9]', '1(x9)', 9), ('gpu[008-011]', '2(x2),1(x2)', 6), ('a,b', '1(x2)', 2)])
def test_slurm_as_tensorflow_reads_it(nodes, counts, tasks, monkeypatch):
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as judge
    assert members.expand_hostlist(nodes) == judge.expand_hostlist(nodes)
    for name, value in slurm(nodes, counts, tasks, 1).items():
        monkeypatch.setenv(name, value)
    resolver = judge.SlurmClusterResolver(gpus_per_node=4, gpus_per_task=1, auto_set_gpu=False)
    found = members.find(None, None, slurm(nodes, counts, tasks, 1))
    assert found.index == 1 and sorted(found.addresses) == sorted(resolver.cluster_spec().as_dict()['worker'])


def test_slurm_keeps_the_order_of_the_nodes():
    """Task 0 runs on the first node of the list; TensorFlow sorts the names."""
    assert members.find(None, None, slurm('z1,a[1-2]', '1(x3)', 3, 0)).addresses == ('z1:8888', 'a1:8888', 'a2:8888')


@pytest.mark.parametrize(('workers', 'index', 'environment', 'message'), [
    ('a:1,b:1', None, {}, '--workers: needs --worker_index'),
    (None, 1, {}, '--worker_index: needs --workers'),
    ('a:1,b:1', 2, {}, 'index 2, but there are 2 workers; allowed: 0 to 1'),
    ('a:1,b', 0, {}, "'b' is no address; give host:port"),
    ('a:1,b:99999', 0, {}, "'b:99999' is no address"),
    ('a:1,a:1', 0, {}, 'a:1 is there twice'),
    (None, None, {'TF_CONFIG': '{"cluster": '}, 'TF_CONFIG: is not what TensorFlow documents'),
    (None, None, {'TF_CONFIG': '[]'}, 'TF_CONFIG: is not what TensorFlow documents'),
    (None, None, {'TF_CONFIG': '{"cluster": {"worker": ["a:1"]}}'}, 'TF_CONFIG: is not what TensorFlow documents'),
    (None, None, tf_config({'worker': ['a:1', 'b:1'], 'ps': ['c:1']}), 'TF_CONFIG: has ps; allowed: chief and worker'),
    (None, None, tf_config({'worker': ['a:1', 'b:1']}, 'evaluator'), 'TF_CONFIG: has evaluator; allowed'),
    (None, None, slurm('n[1-2]', '1(x3)', 3, 0), 'SLURM: 3 tasks (SLURM_STEP_NUM_TASKS), but 2 places'),
    (None, None, slurm('n[1-x]', '1(x2)', 2, 0), 'SLURM: the environment of this step is not as srun sets it'),
])
def test_mistakes(workers, index, environment, message):
    with pytest.raises(UserError) as caught:
        members.find(workers, index, environment)
    assert message in str(caught.value)
