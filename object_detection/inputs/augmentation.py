"""data_augmentation_options of train_config -> one function; what each option does is in flips, crops, pads, colors."""
from object_detection.inputs import crops, flips
from utils.errors import UserError

# Name in the schema -> fn(sample, random, **fields of the option). A field that is not set is left to the function's
# default, which is the reference's. Keys of a sample: see decode.decoder; its image is float32, 0..255.
OPTIONS = {
    'random_horizontal_flip': flips.random_horizontal_flip,
    'random_vertical_flip': flips.random_vertical_flip,
    'random_rotation90': flips.random_rotation90,
    'random_crop_image': crops.random_crop_image,
    'ssd_random_crop': crops.ssd_random_crop,
    'random_square_crop_by_scale': crops.random_square_crop_by_scale,
    'random_scale_crop_and_pad_to_square': crops.random_scale_crop_and_pad_to_square,
}


def build(options):
    """fn(sample, random) that applies PreprocessingStep messages in order; UserError for an option not supported."""
    steps, findings = [], []
    for option in options:
        name = option.WhichOneof('preprocessing_step')
        if name in OPTIONS:
            steps.append((OPTIONS[name], _keywords(getattr(option, name))))
        else:
            findings.append(f'data_augmentation_options {name or "{}"} is not supported; take it out, or use one of: '
                            + ', '.join(sorted(OPTIONS)))
    if findings:
        raise UserError(findings)

    def augment(sample, random):
        for function, keywords in steps:
            sample = function(sample, random, **keywords)
        return sample

    return augment


def _keywords(message):
    """The fields that are set; lists as tuples, the messages of a list as dicts of all their fields."""
    keywords = {}
    for field, value in message.ListFields():
        if field.message_type:
            value = tuple({f.name: _plain(getattr(item, f.name)) for f in item.DESCRIPTOR.fields} for item in value)
        keywords[field.name] = _plain(value)
    return keywords


def _plain(value):
    return value if isinstance(value, (str, bool, int, float)) else tuple(value)
