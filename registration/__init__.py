"""Where things are, and how sure we are."""

from registration.adjustment import Adjustment, adjusted
from registration.align import align
from registration.alignment import Alignment
from registration.frames import FrameError, FrameGraph
from registration.landmarks import LandmarkError, LandmarkFit, Landmarks, fit_landmarks
from registration.picture import ImageError
from registration.resample import resample
from registration.search import SearchBox
from registration.transform import Transform, TransformError
from registration.warp import Warp

__all__ = ["Adjustment", "Alignment", "FrameError", "FrameGraph", "ImageError", "LandmarkError", "LandmarkFit", "Landmarks",
           "SearchBox", "Transform", "TransformError", "Warp", "adjusted", "align", "fit_landmarks", "resample"]
