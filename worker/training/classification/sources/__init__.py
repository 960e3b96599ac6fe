"""Readers of data sets: each turns its pictures into labelled crops, centred as the pipeline centres them."""

from worker.training.classification.sources.pictures import Find, Sight
from worker.training.classification.sources.reading import read, read_all

__all__ = ["Find", "Sight", "read", "read_all"]
