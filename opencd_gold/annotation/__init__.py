"""Annotating change in pairs of images, in a local web page.

Modules are imported by name: :mod:`~opencd_gold.annotation.server` needs
FastAPI, the others rasterio, shapely and pyogrio.
"""
