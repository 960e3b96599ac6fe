"""Readers of data sets: each turns its pictures into labelled crops, centred as the pipeline centres them."""

from worker.training.classification.sources.pictures import Find
from worker.training.classification.sources.reading import read, read_all

__all__ = ["Find", "read", "read_all"]
