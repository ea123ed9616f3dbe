"""Scenes of any size: a common grid, tiles, maps and polygons.

Nothing in here knows of models: what predicts is a function from pixels to
the probability of change. Modules are imported by name, as they need
rasterio, and :mod:`~opencd_gold.scenes.vectors` pyogrio and shapely.
"""
