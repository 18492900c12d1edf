#!/usr/bin/env bash
# Make the environment that the reference (TF2 Object Detection API) runs in. Usage:
#
#     bash benchmarks/reference_env.sh FOLDER [PYTHON3.11]
#
# About 4 GB. pip complains about conflicts; it runs. Why these versions: the reference's generated protobuf code wants
# protobuf 3, its TensorFlow is at most 2.15 (Python 3.11), its evaluation Pillow 9, and the rest follows from these.
set -euo pipefail
folder=${1:?usage: reference_env.sh FOLDER [PYTHON3.11]}
"${2:-python3.11}" -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install tensorflow==2.15.1 tf-models-official==2.15.0
pip install --no-deps tf-models-research-object-detection==2.8.0.post1 tensorflow-io==0.36.0 \
    tensorflow-io-gcs-filesystem==0.36.0 lvis==0.5.3 contextlib2
pip uninstall -y opencv-python
pip install protobuf==3.20.3 numpy==1.26.4 'ml_dtypes<0.4' 'scipy<1.14' 'pandas<2.3' 'matplotlib<3.10' \
    'contourpy<1.3.2' pillow==9.5.0 'tensorboard==2.15.*' opencv-python-headless==4.10.0.84
echo "ready: $folder/bin/python"
