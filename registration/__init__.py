"""Where things are, and how sure we are."""

from registration.adjustment import Adjustment, adjusted
from registration.frames import FrameError, FrameGraph
from registration.intensity import Alignment, align
from registration.landmarks import LandmarkError, LandmarkFit, Landmarks, fit_landmarks
from registration.picture import ImageError
from registration.resample import resample
from registration.search import SearchBox
from registration.transform import Transform, TransformError

__all__ = ["Adjustment", "Alignment", "FrameError", "FrameGraph", "ImageError", "LandmarkError", "LandmarkFit", "Landmarks",
           "SearchBox", "Transform", "TransformError", "adjusted", "align", "fit_landmarks", "resample"]
