"""Fit the keypoint settings of a config to the user's keypoints, in place of COCO's seventeen."""
from pathlib import Path

from object_detection import protos
from object_detection.config.label_map import Item, LabelMap
from object_detection.utils.errors import UserError
from object_detection.zoo.edit import Edit

_READERS = ('train_input_reader', 'eval_input_reader[0]')
_SIDES = (('left', 'right'), ('Left', 'Right'), ('LEFT', 'RIGHT'))


def adapt(edit: Edit, labels: LabelMap) -> None:
    """Fit keypoint tasks, readers, flips and metrics to the keypoints of a label map.

    Args:
        edit: of a center_net config with keypoint_estimation_task.
        labels: at least one class must have keypoints { id: 0 label: "nose" } and so on.
    """
    names = _names(labels)
    edit.set('model.center_net.keypoint_label_map_path', Path(labels.source).as_posix(),
             'your classes and their keypoints')
    for index, task in enumerate(edit.config.model.center_net.keypoint_estimation_task):
        path = f'model.center_net.keypoint_estimation_task[{index}]'
        item = _class_of(task, labels)
        differ = set(task.keypoint_label_to_std) ^ set(item.keypoints)
        edit.set(f'{path}.keypoint_class_name', item.name, f'the class of {labels.source} that has keypoints')
        edit.drop(f'{path}.keypoint_label_to_std', set(task.keypoint_label_to_std) - set(item.keypoints),
                  f'{item.name} has no such keypoints; its own without a value get 1')
        _fit_metrics(edit, item)
        if differ and len(edit.config.eval_config.keypoint_edge):
            edit.clear('eval_config.keypoint_edge', "these lines join COCO's keypoints by number")
    for reader in _READERS:
        edit.set(f'{reader}.num_keypoints', len(names), f'the number of keypoints in {labels.source}')
    mirrored = [_mirrored(number, names) for number in range(len(names))]
    for path in _flips(edit.config):
        edit.set(path, mirrored, 'left and right change places in a flipped picture; paired by name, please check')


def remove(edit: Edit) -> None:
    """Read no keypoints for a model that finds none; one config of the zoo does."""
    for path in (*(f'{reader}.num_keypoints' for reader in _READERS), *_flips(edit.config)):
        edit.clear(path, 'the model finds no keypoints')


def _flips(config: protos.TrainEvalPipelineConfig) -> list[str]:
    """Return the paths of all keypoint_flip_permutation of random_horizontal_flip."""
    return [f'train_config.data_augmentation_options[{index}].random_horizontal_flip.keypoint_flip_permutation'
            for index, step in enumerate(config.train_config.data_augmentation_options)
            if step.HasField('random_horizontal_flip')]


def _names(labels: LabelMap) -> list[str]:
    """Return the labels of all keypoints by id; ids must be 0, 1, 2 ..., the order of the records."""
    names = {number: label for item in labels.items for label, number in item.keypoints.items()}
    if not names:
        raise UserError(f'{labels.source}: the model estimates keypoints, and no class has any; add keypoints {{ '
                        'id: 0 label: "nose" } and so on to the class whose keypoints your records have, or take a '
                        'model that finds boxes only')
    if sorted(names) != list(range(len(names))):
        raise UserError(f'{labels.source}: the ids of the keypoints are {", ".join(map(str, sorted(names)))}; they '
                        'must be 0, 1, 2 and so on, in the order of the records')
    return [names[number] for number in sorted(names)]


def _class_of(task: protos.CenterNet.KeypointEstimation, labels: LabelMap) -> Item:
    """Return the class of a keypoint_estimation_task: the one it names, or the only one with keypoints."""
    items = [item for item in labels.items if item.keypoints]
    named = [item for item in items if task.keypoint_class_name in (item.name, item.display_name)]
    if named or len(items) == 1:
        return (named or items)[0]
    raise UserError(f'{labels.source}: the model estimates the keypoints of one class, and {len(items)} have some '
                    f'({", ".join(item.name for item in items)}); keep those of one class')


def _fit_metrics(edit: Edit, item: Item) -> None:
    """Set the class of the keypoint metrics; keep sigmas only if each of its keypoints has one."""
    for index, metric in enumerate(edit.config.eval_config.parameterized_metric):
        path = f'eval_config.parameterized_metric[{index}].coco_keypoint_metrics'
        sigmas = metric.coco_keypoint_metrics.keypoint_label_to_sigmas
        edit.set(f'{path}.class_label', item.display_name or item.name, 'the class with keypoints')
        if set(item.keypoints) <= set(sigmas):
            edit.drop(f'{path}.keypoint_label_to_sigmas', set(sigmas) - set(item.keypoints),
                      f'{item.name} has no such keypoints')
        else:
            edit.clear(f'{path}.keypoint_label_to_sigmas',
                       "these belong to COCO's keypoints; without any, each of yours gets .05")


def _mirrored(number: int, names: list[str]) -> int:
    """Return the keypoint that `number` becomes in a flipped image: right_eye for left_eye, else itself."""
    for one, other in (*_SIDES, *(pair[::-1] for pair in _SIDES)):
        mirrored = names[number].replace(one, other)
        if mirrored != names[number] and mirrored in names:
            return names.index(mirrored)
    return number
