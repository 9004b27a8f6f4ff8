"""From the structure of the interphase to coulombic efficiency: small, weighted, validated on unseen electrolytes."""

from correlate.models.validation import ModelRefused, ModelResult, validate

__all__ = ["ModelRefused", "ModelResult", "validate"]
