"""Reports as single HTML pages: no scripts, nothing from outside, light and dark, wide and narrow.

`training.py` writes the report of one training run out of the parts in page.py, charts.py, tables.py and pictures.py;
other reports reuse the parts. Not here: measuring (renga.measure) and training.
"""

from .machine import machine
from .page import Page
from .recorder import Recorder
from .training import Sample, TrainingReport

__all__ = ["Page", "Recorder", "Sample", "TrainingReport", "machine"]
