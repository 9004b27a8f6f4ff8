"""Where one image, volume or section lies in another: the one call for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import xarray as xr

from registration.alignment import Alignment
from registration.deformable import deform
from registration.hybrid import fit_widest, judged_together
from registration.intensity import align_images
from registration.landmarks import Landmarks
from registration.picture import Masks
from registration.search_box import SearchBox
from registration.slice_to_volume import align_section, align_volumes
from registration.transform import MODELS, Model, Transform, TransformError

AnyModel = Model | Literal["bspline"]
BENT = "bspline"
VOLUME_ROTATION_DEG, SECTION_ROTATION_DEG, LANDMARK_ROTATION_DEG = 20.0, 10.0, 5.0
"""How far the prior of a volume and of a section may be turned, unless a box says so; and after landmarks."""


def align(fixed: xr.DataArray, moving: xr.DataArray, model: AnyModel = "similarity", prior: Transform | None = None,
          masks: Masks | None = None, landmarks: Landmarks | None = None, seed: int = 0, *,
          box: SearchBox | None = None) -> Alignment:
    """Find the transform that takes positions of the moving image to the frame of the fixed one.

    Works across contrasts (inverted, not monotonic, edges only, counts), pixel sizes, partial overlap and nested fields of
    view. The same input and seed give the same transform bit for bit.

    Parameters
    ----------
    fixed, moving : (y, x) or (z, y, x), coordinates in nm
        Two images, two volumes, or a section (y, x) and a volume: the section then lies at z = 0 of its own frame, and its
        positions are (0, y, x). Axes may run either way, pixels need not be square. `attrs["frame"]` names the frame; without
        it the prior's names, or "fixed" and "moving". Pixels that are not finite are left out.
    model
        What may differ from the prior: `translation`, `rigid`, `similarity`, `affine`; of two images also `bspline`, an affine
        map that is then bent where held-out tiles agree better for it, and stays affine where they do not.
    prior : moving -> fixed
        Middle of the search and one of the candidates. Without it the centres of both fields are laid over each other. Volumes
        want it right to within a tenth of the field and 20 degrees, sections to within ten voxels and ten degrees.
    masks : (fixed, moving)
        True where data are to be used; either may be None. Mask scale bars and no-data borders: their straight edges align with
        one another.
    landmarks : places marked in both
        They are fitted robustly, take the place of the prior and, unless a box is given, narrow the search to what they leave
        open. A pose of the images that they bear out is the mean of both, weighted by their stated errors; where the two
        contradict one another the landmarks are returned, as doubtful.
    seed : int
        Of all random samples.
    box : SearchBox
        How far from the prior to look; narrow it where the stage is known, since every further pose is one more to be
        mistaken for the right one. Of volumes and sections only its rotation counts.

    Returns
    -------
    Alignment. A pose that could not be found is an Alignment with verdict `failed`, never an exception.

    Raises
    ------
    ImageError
        If an image is not calibrated in nm or holds nothing to align; all faults are named.
    TransformError
        If the prior does not lead from the moving to the fixed frame, or the model is unknown or not to be had in 3D.
    LandmarkError
        If landmarks do not determine even a shift.
    """
    if model not in (*MODELS, BENT):
        raise TransformError(f"unknown model {model!r}, expected one of {', '.join((*MODELS, BENT))}")
    if not _is_volume(fixed) and not _is_volume(moving):
        if model == BENT:
            return _bent(fixed, moving, prior, masks, landmarks, seed, box)
        return align_images(fixed, moving, cast(Model, model), prior, masks, landmarks, seed, box=box)
    if model == BENT:
        raise TransformError(f"the model {BENT!r} bends images (y, x) only; align volumes by {', '.join(MODELS)}")
    return _in_volume(fixed, moving, cast(Model, model), prior, masks, landmarks, seed, box)


def _bent(fixed: xr.DataArray, moving: xr.DataArray, prior: Transform | None, masks: Masks | None, landmarks: Landmarks | None,
          seed: int, box: SearchBox | None) -> Alignment:
    """The affine alignment, bent; a pose that is not to be trusted is left straight."""
    found = align_images(fixed, moving, "affine", prior, masks, landmarks, seed, box=box)
    if found.verdict == "failed":
        return replace(found, reasons=(*found.reasons, "not bent, since the affine pose failed"))
    assert isinstance(found.transform, Transform)
    bent = deform(fixed, moving, found.transform, masks)
    reasons = found.reasons if bent.accepted else (*found.reasons, *(f"not bent: {reason}" for reason in bent.reasons))
    return replace(found, transform=bent.transform, reasons=reasons,
                   metrics=found.metrics | {f"bent_{name}": value for name, value in bent.metrics.items()})


def _in_volume(fixed: xr.DataArray, moving: xr.DataArray, model: Model, prior: Transform | None, masks: Masks | None,
               landmarks: Landmarks | None, seed: int, box: SearchBox | None) -> Alignment:
    source, target = (str(a.attrs.get("frame") or named) for a, named in
                      ((moving, prior.source if prior else "moving"), (fixed, prior.target if prior else "fixed")))
    both = _is_volume(fixed) and _is_volume(moving)
    turn = box.rotation_deg if box else VOLUME_ROTATION_DEG if both else SECTION_ROTATION_DEG
    marks = None
    if landmarks is not None:
        marks = fit_widest(landmarks, model, source, target, 3)
        prior, turn = marks.transform, box.rotation_deg if box else LANDMARK_ROTATION_DEG
    if both:
        found = align_volumes(fixed, moving, model, prior, masks, turn, seed)
    elif _is_volume(fixed):
        found = align_section(fixed, moving, prior, model, masks, turn, seed=seed)
    else:
        found = align_section(moving, fixed, prior and prior.inverse(), model, masks and masks[::-1], turn, seed=seed)
        found = replace(found, transform=found.transform.inverse())
    found = replace(found, transform=found.transform.renamed(source, target))
    return found if marks is None else judged_together(found, marks)


def _is_volume(image: xr.DataArray) -> bool:
    return "z" in image.dims
