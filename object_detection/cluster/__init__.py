"""Several machines that train together: who they are, how their parent processes meet, and how they run each phase at
the same time. Imports no TensorFlow; the phases do the computing (layers/machines.py)."""
