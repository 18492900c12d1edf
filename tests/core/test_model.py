"""The groundtruth lists of a DetectionModel."""
import pytest

from object_detection.core.model import DetectionModel
from object_detection.core.standard_fields import BoxListFields, InputDataFields


class Nothing(DetectionModel):
    """A model whose calls return their arguments."""

    preprocess = predict = postprocess = loss = lambda self, *arguments: arguments

    def regularization_losses(self):
        return []

    def restore_from_objects(self, fine_tune_checkpoint_type='detection'):
        return {'model': self}


def test_groundtruth_lists():
    model = Nothing(num_classes=3)
    assert model.num_classes == 3 and model.updates() == [] and model.get_side_inputs({'image': 1}) == {}
    assert not model.groundtruth_has_field(BoxListFields.boxes)
    with pytest.raises(RuntimeError, match='Groundtruth tensor boxes has not been provided'):
        model.groundtruth_lists(BoxListFields.boxes)
    with pytest.raises(ValueError, match='Training step was not provided'):
        model.training_step  # noqa: B018
    model.provide_groundtruth(['boxes'], ['classes'], groundtruth_masks_list=['masks'],
                              groundtruth_area_list=['area'], groundtruth_labeled_classes=['labeled'], training_step=7)
    assert model.groundtruth_lists(BoxListFields.boxes) == ['boxes']
    assert model.groundtruth_lists(BoxListFields.classes) == ['classes']
    assert model.groundtruth_lists(BoxListFields.masks) == ['masks']
    assert model.groundtruth_lists(InputDataFields.groundtruth_area) == ['area']
    assert model.groundtruth_lists(InputDataFields.groundtruth_labeled_classes) == ['labeled']
    assert model.training_step == 7 and not model.groundtruth_has_field(BoxListFields.keypoints)
    model.provide_groundtruth(['b'], ['c'], ['m'], ['mw'], ['k'], ['kv'])  # by position, as in the reference
    assert [model.groundtruth_lists(field) for field in (
        BoxListFields.masks, BoxListFields.mask_weights, BoxListFields.keypoints,
        BoxListFields.keypoint_visibilities)] == [['m'], ['mw'], ['k'], ['kv']]
    assert model.groundtruth_lists(InputDataFields.groundtruth_area) == ['area']  # kept from before
