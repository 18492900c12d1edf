"""Decoders of records under the reference's names: tf_example_decoder."""
