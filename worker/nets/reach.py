"""How far the segmenter's network sees, and how much is shown to it; known without loading torch."""

STRIDE_PX = 16
RECEPTIVE_PX = 104
"""No pixel further away than this, in rows or columns, has a part in a result; 26 µm at 0.25 µm/px."""
MOST_LEVELS = 4
"""Both are those of a network of so many levels (`worker/nets/segnet.py`); one of fewer sees less far."""
CELL_REACH_UM = 18.0
"""No further than this does a cell reach from its middle."""
LEARNED_HALO_PX = 192
"""So much around a tile's core is read: a cell with its middle in the core, and what the network sees around it."""
