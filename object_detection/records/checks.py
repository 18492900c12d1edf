"""What is wrong with the records that a pipeline.config names, beyond what the config itself tells. No TensorFlow."""
from object_detection.config import paths as config_paths
from object_detection.config.checks import Finding, label_map_of
from object_detection.records import example as records
from object_detection.utils.errors import UserError


def check_data(config, sample=1000):
    """Look at the records of all input_readers.

    Args:
        config: TrainEvalPipelineConfig.
        sample: how many records of each reader to open, evenly spread; None: all.
    Returns:
        findings: what config_checks.check does not know; files or label maps that are missing are left to it.
        reports: {name of the reader: records.Report} of those that could be read.
    """
    readers = {'train_input_reader': config.train_input_reader}
    readers |= {f'eval_input_reader[{i}]': reader for i, reader in enumerate(config.eval_input_reader)}
    findings, reports = [], {}
    for name, reader in readers.items():
        field = f'{name}.tf_record_input_reader.input_path'
        paths = list(reader.tf_record_input_reader.input_path)
        if not paths or any(severity == 'error' for path in paths for severity, _ in config_paths.records(path)):
            continue
        labels = label_map_of(reader)
        try:
            report = reports[name] = records.check(paths, labels, sample, reader=reader)
        except UserError as error:
            findings += [Finding('error', field, message) for message in error.findings]
            continue
        findings += [Finding('error', field, line) for line in report.errors]
        findings += [Finding('warning', field, line) for line in report.warnings]
        findings += [Finding('warning', field, line) for line in _unused(labels, report)]
    return findings, reports


def _unused(labels, report):
    if not report.boxes_of:
        yield f'none of the {report.checked} records looked at has a box'
    elif labels:
        known = [item for item in labels.items if not {item.id, item.name, item.display_name} & report.boxes_of.keys()]
        if known:
            names = ', '.join(item.display_name or item.name for item in known[:10])
            more = f' and {len(known) - 10} more' if len(known) > 10 else ''
            yield f'no box in the {report.checked} records looked at has the label {names}{more}'
