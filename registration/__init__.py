"""Where things are, and how sure we are."""

from registration.adjustment import Adjustment, adjusted
from registration.align import align
from registration.alignment import Alignment
from registration.candidate import Candidate
from registration.deformable import Deformed, deform
from registration.deformation import deformation
from registration.drift import drift, frame_transforms, mean_image
from registration.frames import Closure, Edge, FrameError, FrameGraph
from registration.landmark_file import read_landmarks, write_landmarks
from registration.landmarks import LandmarkError, LandmarkFit, Landmarks, fit_landmarks
from registration.needle import needle_landmarks, silhouette
from registration.ngff import coordinate_transformation, graph_to_ngff
from registration.picture import ImageError
from registration.projection import align_projection
from registration.resample import resample
from registration.saved import read_transform
from registration.scan_distortion import undistorted
from registration.search_box import SearchBox
from registration.slice_to_volume import align_section, align_volumes
from registration.thin_plate import thin_plate
from registration.transform import Transform, TransformError
from registration.warp import AnyTransform, Chain, GridField, Warp

__all__ = ["Adjustment", "Alignment", "AnyTransform", "Candidate", "Chain", "Closure", "Deformed", "Edge", "FrameError",
           "FrameGraph", "GridField", "ImageError", "LandmarkError", "LandmarkFit", "Landmarks", "SearchBox", "Transform",
           "TransformError", "Warp", "adjusted", "align", "align_projection", "align_section", "align_volumes",
           "coordinate_transformation", "deform", "deformation", "drift", "fit_landmarks", "frame_transforms",
           "graph_to_ngff", "mean_image", "needle_landmarks", "read_landmarks", "read_transform", "resample", "silhouette",
           "thin_plate", "undistorted", "write_landmarks"]
