"""Run the reference's exporter_main_v2, flags and all. Runs in the reference environment."""
import runpy

import compat  # noqa: F401, must come before the reference

runpy.run_module('object_detection.exporter_main_v2', run_name='__main__')
