"""The doctor (train_t2.py): what a training would meet, found before it starts.

checkup.py: all findings that need no TensorFlow. data.py: a look at the records. rates.py: learning rate, batch size
and number of epochs. splits.py: classes and pictures of the data sets, held against each other. anchors.py: boxes that
no anchor matches, and anchors that would. trial.py: the phase that trains for a few steps. plot.py: what the network
sees. cost.py: time and disk. Only trial.py imports TensorFlow.
"""
