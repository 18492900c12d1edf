"""Which TensorFlow this is, under the reference's name: always 2."""


def is_tf1() -> bool:
    """Return False."""
    return False


def is_tf2() -> bool:
    """Return True."""
    return True
