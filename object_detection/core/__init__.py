"""Modules under the reference's names: standard_fields."""
