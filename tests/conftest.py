"""Settle the dependencies before any test module imports them."""
import opencd_gold  # noqa: F401
