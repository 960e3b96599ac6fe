"""Where chromatin is: threshold, clean-up."""

from __future__ import annotations

import cv2
import numpy as np

from worker.cells.channels import Channels, level
from worker.cells.stain import Pixels, StainFit

LOCAL_SHARE = 0.5
"""Chromatin lies above this share of the strongest signal near it: the half-height edge of a dark nucleus."""
LOCAL_REACH_UM = 6.5
OPENING_UM = 0.5
MAX_HOLE_UM2 = 12.0


def nucleus_mask(ch: Channels, fit: StainFit, mpp_um: float) -> Pixels:
    """Return (H, W) uint8, 255 on chromatin; each pixel rests on LOCAL_REACH_UM and 7 px around it."""
    reach = round(LOCAL_REACH_UM / mpp_um)
    strongest = cv2.dilate(cv2.blur(ch.nuclear, (7, 7)), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    least = np.maximum(level(fit.threshold), np.rint(LOCAL_SHARE * np.arange(256))).astype(np.uint8)
    mask = cv2.compare(ch.nuclear, cv2.LUT(strongest, least), cv2.CMP_GT)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(OPENING_UM, mpp_um))
    return fill_holes(np.asarray(opened, np.uint8), MAX_HOLE_UM2 / mpp_um**2)


def disc(radius_um: float, mpp_um: float) -> Pixels:
    """Return a round structuring element."""
    size = 2 * max(1, round(radius_um / mpp_um)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def fill_holes(mask: Pixels, max_px: float) -> Pixels:
    """Return the mask with its holes of at most `max_px` pixels closed; what opens to the image edge is no hole."""
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return mask
    has_parent = hierarchy[0, :, 3] >= 0
    holes = [c for c, inner in zip(contours, has_parent, strict=True) if inner and cv2.contourArea(c) <= max_px]
    if not holes:
        return mask
    filled = mask.copy()
    cv2.drawContours(filled, holes, -1, 255, cv2.FILLED)
    return filled
