"""Visualizers, registered in ``opencd_gold.registry.VISUALIZERS``."""
from .change_visualizer import ChangeVisualizer, write_picture
from .panels import error_map, to_display

__all__ = ['ChangeVisualizer', 'error_map', 'to_display', 'write_picture']
