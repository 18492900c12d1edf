"""What a keypoint config must say of the user's keypoints instead of COCO's seventeen."""
from pathlib import Path

from object_detection.utils.errors import UserError

_READERS = ('train_input_reader', 'eval_input_reader[0]')
_SIDES = (('left', 'right'), ('Left', 'Right'), ('LEFT', 'RIGHT'))


def adapt(edit, labels):
    """Fit keypoint tasks, readers, flips and metrics to the keypoints of a label map.

    Args:
        edit: configure.Edit of a center_net config with keypoint_estimation_task.
        labels: LabelMap; at least one class must have keypoints { id: 0 label: "nose" } and so on.
    """
    names = _names(labels)
    edit.set('model.center_net.keypoint_label_map_path', Path(labels.source).as_posix(),
             'your classes and their keypoints')
    for index, task in enumerate(edit.config.model.center_net.keypoint_estimation_task):
        path = f'model.center_net.keypoint_estimation_task[{index}]'
        item = _class_of(task, labels)
        others = set(task.keypoint_label_to_std) ^ set(item.keypoints)
        edit.set(f'{path}.keypoint_class_name', item.name, f'the class of {labels.source} that has keypoints')
        edit.drop(f'{path}.keypoint_label_to_std', set(task.keypoint_label_to_std) - set(item.keypoints),
                  f'{item.name} has no such keypoints; its own without a value get 1')
        _sigmas(edit, item)
        if others and len(edit.config.eval_config.keypoint_edge):
            edit.clear('eval_config.keypoint_edge', "these lines join COCO's keypoints by number")
    for reader in _READERS:
        edit.set(f'{reader}.num_keypoints', len(names), f'so many are in {labels.source}')
    partners = [_partner(number, names) for number in range(len(names))]
    for path in _flips(edit.config):
        edit.set(path, partners, 'in a mirrored picture left and right change places, by their names; look it over')


def leave_out(edit):
    """Read no keypoints for a model that finds none, as one config of the zoo does."""
    for path in (*(f'{reader}.num_keypoints' for reader in _READERS), *_flips(edit.config)):
        edit.clear(path, 'the model finds no keypoints')


def _flips(config):
    """Paths of what says how keypoints change places in a mirrored picture."""
    return [f'train_config.data_augmentation_options[{index}].random_horizontal_flip.keypoint_flip_permutation'
            for index, step in enumerate(config.train_config.data_augmentation_options)
            if step.HasField('random_horizontal_flip')]


def _names(labels):
    """Labels of all keypoints by their ids, which must be 0, 1, 2 ...: the order of the records."""
    names = {number: label for item in labels.items for label, number in item.keypoints.items()}
    if not names:
        raise UserError(f'{labels.source}: the model estimates keypoints, and no class has any; add keypoints {{ '
                        'id: 0 label: "nose" } and so on to the class whose keypoints your records have, or take a '
                        'model that finds boxes only')
    if sorted(names) != list(range(len(names))):
        raise UserError(f'{labels.source}: the ids of the keypoints are {", ".join(map(str, sorted(names)))}; they '
                        'must be 0, 1, 2 and so on, in the order of the records')
    return [names[number] for number in sorted(names)]


def _class_of(task, labels):
    """The Item that a keypoint_estimation_task is about: that of its name, or the only one with keypoints."""
    items = [item for item in labels.items if item.keypoints]
    named = [item for item in items if task.keypoint_class_name in (item.name, item.display_name)]
    if named or len(items) == 1:
        return (named or items)[0]
    raise UserError(f'{labels.source}: the model knows the keypoints of one class, and {len(items)} have some '
                    f'({", ".join(item.name for item in items)}); leave them to one of these')


def _sigmas(edit, item):
    """The metric of keypoints: the class, and a sigma for each of its keypoints or none at all."""
    for index, metric in enumerate(edit.config.eval_config.parameterized_metric):
        path = f'eval_config.parameterized_metric[{index}].coco_keypoint_metrics'
        sigmas = metric.coco_keypoint_metrics.keypoint_label_to_sigmas
        edit.set(f'{path}.class_label', item.display_name or item.name, 'the class with keypoints')
        if set(item.keypoints) <= set(sigmas):
            edit.drop(f'{path}.keypoint_label_to_sigmas', set(sigmas) - set(item.keypoints),
                      f'{item.name} has no such keypoints')
        else:
            edit.clear(f'{path}.keypoint_label_to_sigmas',
                       "they are those of COCO's keypoints; without any, .05 counts for each of yours")


def _partner(number, names):
    """The keypoint that `number` becomes in a mirrored picture: right_eye for left_eye, itself if it has no side."""
    for one, other in (*_SIDES, *(pair[::-1] for pair in _SIDES)):
        mirrored = names[number].replace(one, other)
        if mirrored != names[number] and mirrored in names:
            return names.index(mirrored)
    return number
