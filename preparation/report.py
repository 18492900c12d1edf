"""report.html: what a person wants to see of a prepared data set, in one file."""
from utils import files


def write(numbers, pictures, options):
    files.write_text(options.output / 'report.html', '<!doctype html><title>report</title>')
