"""SEI thickness from a projection: the shell between the outline of a deposit and its metal.

What is measured is the *projected* thickness: along each normal of the outline, the distance from where the shell's projected
thickness rises through half of its maximum to where the metal begins. On a round deposit with a rough shell this is 0.7 to
0.95 of the thickness of the shell itself, because the shell is seen through its own curvature; no correction for that is
applied, since it needs the shape along the beam, which one image does not hold.

The image of a round deposit along a normal is a sum of two chords, of the whole and of its metal,
I(s) = b + a [C(s - s_outer; R) - (1 - ρ) C(s - s_inner; R_metal)], C(s; R) = 2 sqrt(s (2 R - s)),
each blurred by the roughness of its surface; ρ is how bright metal is per nm beside the shell (lithium about 0.2 in HAADF).
The model is fitted to the mean profile of all the outline and then, with what that taught, to every stretch of it.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, optimize
from skimage import filters
from skimage import measure as contours

from correlate.descriptors.descriptor import Descriptor, Measurement, unknown
from correlate.element_map import element_map, mappable
from datasets.techniques.tem_image import LATTICE_PIXEL_NM

Floats = NDArray[np.float64]

METHOD = ("projected thickness: two chords (whole deposit, metal) blurred by roughness, fitted along the normals of the "
          "outline; own method, its error measured on projected rough shells of known thickness")
ROUGHNESS_NM = 8.0
"""The outline is smoothed over this length before normals are drawn: as rough shells are, shorter than bends."""
STRETCH_NM = 10.0
"""Length of outline that shares one fit: below the correlation length of thickness, long enough to average noise."""
MODEL_STD, POOR_CONTRAST_STD, GOOD_CONTRAST = 0.08, 0.6, 0.75
"""Relative error that the model leaves on projected rough shells of known thickness where metal and shell differ well, and
what each unit of contrast below `GOOD_CONTRAST` adds: the shell's own patches are then taken for its inner edge. Contrast is
|1 - ρ|. Measured on virtual deposits of lithium and sodium other than those of the tests; part of every stated std."""
MAP_STD = 0.10
"""The same for element maps, whose pixels are coarse beside the shell."""
LEAST_CONTRAST = 0.3
"""Below it, no thickness is stated."""
EDGE_PIXELS, EDGE_NM = 0.6, 0.3
"""Error of the two edges together that no averaging removes: pixels, and the probe's own width."""
CALIBRATION_STD = 0.01
"""Relative error of a microscope's length scale where nothing better is known."""
LEAST_STRETCHES = 4
OPAQUE = 0.10
"""Bright field: where less of the beam comes through, what an object is made of does not show, only its outline."""
SHELL_ELEMENTS = ("O", "F", "C", "N", "S", "P")
DETECTION_SIGMA = 5.0
SPREAD_TITLE = "SEI thickness, spread along the outline"
NODES, WEIGHTS = (a.copy() for a in np.polynomial.hermite_e.hermegauss(9))
WEIGHTS /= WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class Shell:
    """Thickness of each stretch of an outline, nm, and its std from noise; `reason` where nothing could be measured.

    y_nm, x_nm : middle of each stretch, relative to the image's first pixel
    model_std : relative, what the contrast leaves open
    """

    thickness: Floats
    noise_std: Floats
    y_nm: Floats
    x_nm: Floats
    contrast: float
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Profiles:
    """Intensity (position, depth) along the normals of an outline; NaN outside the field. Lengths in nm.

    depth : (depth,), from outside in, 0 at the smoothed outline
    where : (position, 2), y and x
    arc : (position,), along the outline; stretches of different outlines never touch
    radius_nm : half width of the deposit, or a lower bound where it is cut by the field
    """

    values: Floats
    depth: Floats
    where: Floats
    arc: Floats
    radius_nm: float


class _NoOutline(ValueError):
    """The image shows no deposit against vacuum."""


def shell(image: Floats, pixel_nm: float, *, transmitted: bool = False) -> Shell:
    """Projected thickness of the shell of a deposit in an image.

    Parameters
    ----------
    image : (y, x), any linear intensity; bright where there is matter, unless `transmitted`
    pixel_nm : side of a pixel
    transmitted : bright field, where intensity falls as exp(-thickness); its logarithm is used
    """
    try:
        matter = _absorbance(image, pixel_nm) if transmitted else np.asarray(image, dtype=np.float64)
        profiles = outline_profiles(matter, pixel_nm)
        if transmitted and float(np.nanpercentile(profiles.values, 90.0)) > -math.log(OPAQUE):
            return _nothing(f"less than {OPAQUE:.0%} of the beam comes through: no shell can be told from what is inside")
    except _NoOutline as error:
        return _nothing(str(error))
    return shell_of_profiles(profiles, pixel_nm)


def outline_profiles(image: Floats, pixel_nm: float) -> Profiles:
    """Profiles along the normals of the outline of whatever is bright against an even, dark surrounding.

    A slow gradient of the surrounding is fitted and taken off. Only outlines inside the field are followed.
    """
    mask, vacuum = _segmented(image, pixel_nm)
    flat = image - _plane(image, vacuum)
    inside = ndimage.distance_transform_edt(mask) * pixel_nm
    signed = inside - ndimage.distance_transform_edt(~mask) * pixel_nm
    smooth = ndimage.gaussian_filter(signed, max(ROUGHNESS_NM / pixel_nm, 2.0))
    slope = np.stack([np.gradient(smooth, pixel_nm, axis=axis) for axis in (0, 1)])
    radius = float(inside.max())
    depth = np.arange(-min(25.0 + 0.3 * radius, 90.0), min(1.1 * radius, 400.0), pixel_nm)
    high, wide = image.shape
    values, where, arc, start = [], [], [], 0.0
    for path in contours.find_contours(smooth, 0.0):
        normal = np.stack([ndimage.map_coordinates(part, path.T, order=1) for part in slope], 1)
        steep = np.linalg.norm(normal, axis=1)
        good = steep > 0.4
        if good.sum() < 8:
            continue
        path, normal = path[good], normal[good] / steep[good, None]
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]) * pixel_nm
        points = path[:, None] + normal[:, None] * (depth / pixel_nm)[None, :, None]
        outside = ((points < 0) | (points > np.array([high - 1, wide - 1]))).any(-1)
        sampled = ndimage.map_coordinates(flat, points.reshape(-1, 2).T, order=1, mode="nearest").reshape(outside.shape)
        values.append(np.where(outside, np.nan, sampled))
        where.append(path * pixel_nm)
        arc.append(along + start)
        start += float(along[-1]) + 1e3 * STRETCH_NM
    if not values:
        raise _NoOutline("no outline of a deposit lies inside the field")
    return Profiles(np.concatenate(values), depth, np.concatenate(where), np.concatenate(arc), radius)


def shell_of_profiles(profiles: Profiles, pixel_nm: float) -> Shell:
    """Fit the two chords to the mean profile, then to each stretch of the outline."""
    values, depth = profiles.values, profiles.depth
    stretch_nm = max(STRETCH_NM, 12 * pixel_nm)
    label = np.floor(profiles.arc / stretch_nm).astype(int)
    seen = np.isfinite(values) & (depth <= 0.95 * profiles.radius_nm)[None]
    full = seen[:, (depth > -10.0) & (depth < min(30.0, 0.5 * profiles.radius_nm))].mean(1) > 0.9
    names = [name for name in np.unique(label[full]) if (full & (label == name)).sum() * pixel_nm > 0.4 * stretch_nm]
    if len(names) < LEAST_STRETCHES:
        return _nothing(f"only {len(names)} stretches of {stretch_nm:.0f} nm of outline lie well inside the field")
    groups = [np.flatnonzero(full & (label == name)) for name in names]
    whole = _stretch(values, depth, seen, np.concatenate(groups), sum(g.size for g in groups) / max(len(groups), 1))
    first = _global_fit(*whole, profiles.radius_nm)
    fits = [_local_fit(*_stretch(values, depth, seen, group, float(group.size)), first, profiles.radius_nm) for group in groups]
    thickness = np.array([_observed(fit, profiles.radius_nm) for fit, _ in fits])
    noise = np.array([std for _, std in fits])
    middle = np.array([profiles.where[group].mean(0) for group in groups])
    good = np.isfinite(thickness)
    if good.sum() < LEAST_STRETCHES:
        return _nothing("the profile does not show where the shell ends and metal begins")
    return Shell(thickness[good], noise[good], middle[good, 0], middle[good, 1], float(1 - first[1]))


def _nothing(reason: str) -> Shell:
    empty = np.empty(0)
    return Shell(empty, empty, empty, empty, math.nan, reason)


def measure_image(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Thickness and its spread along the outline, from an image of a scanning or a broad beam."""
    name = next(iter(ds.data_vars))
    detector = str(ds.attrs.get("conditions", {}).get("detector", "")).upper()
    transmitted = ds.attrs.get("technique") == "tem_image" or (detector.startswith("BF") or detector == "ABF")
    image = ds[name]
    if image.ndim != 2:
        return _refused(f"a series of images ({', '.join(map(str, image.dims))}), of which none is singled out", METHOD)
    if transmitted and _pixel_nm(image) < LATTICE_PIXEL_NM:
        return _refused(f"pixels of {_pixel_nm(image):.3g} nm resolve the lattice, whose contrast is not of thickness", METHOD)
    return _measured(image, METHOD, MODEL_STD, transmitted=transmitted)


def measure_map(ds: xr.Dataset) -> tuple[Measurement, ...]:
    """Thickness and its spread from the summed maps of the elements that the shell has and the metal has not."""
    method = f"{METHOD}; on the sum of the maps of {{}}"
    missing = {"y", "x"} - set(map(str, ds.dims))
    if missing:
        return _refused("not a map: it has no " + " and ".join(sorted(missing)), METHOD)
    if set(map(str, ds.dims)) - {"y", "x", "energy_loss", "xray_energy"}:
        return _refused("a series of maps, of which none is singled out", METHOD)
    reason = _not_in_nm(ds)
    if reason:
        return _refused(reason, METHOD)
    parts = []
    for element, why in mappable(ds, SHELL_ELEMENTS).items():
        if why:
            continue
        found = element_map(ds, element).transpose("y", "x")
        if float(found["counts"].sum()) > DETECTION_SIGMA * math.sqrt(float((found["counts_std"] ** 2).sum())):
            parts.append((element, found["counts"]))
    if not parts:
        return _refused(f"none of {', '.join(SHELL_ELEMENTS)} stands out of the noise", METHOD)
    total = sum((counts for _, counts in parts[1:]), parts[0][1])
    return _measured(total, method.format(", ".join(element for element, _ in parts)), MAP_STD, transmitted=False)


def _steps_nm(image: xr.DataArray) -> tuple[float, float]:
    y, x = (float(abs(image[d][-1] - image[d][0])) / max(image.sizes[d] - 1, 1) for d in ("y", "x"))
    return y, x


def _pixel_nm(image: xr.DataArray) -> float:
    """Side of a square of a pixel's area; NaN where the image is not calibrated."""
    return math.nan if _not_in_nm(image) else math.sqrt(math.prod(_steps_nm(image)))


def _measured(image: xr.DataArray, method: str, model_std: float, *, transmitted: bool) -> tuple[Measurement, ...]:
    reason = _not_in_nm(image)
    if reason:
        return _refused(reason, method)
    steps, pixel_nm = _steps_nm(image), _pixel_nm(image)
    if min(image.shape) < 16:
        return _refused(f"{image.sizes['y']} x {image.sizes['x']} pixels are too few for an outline", method)
    if abs(steps[0] / steps[1] - 1) > 0.02:
        return _refused(f"pixels are not square ({steps[0]:.4g} by {steps[1]:.4g} nm)", method)
    found = shell(image.transpose("y", "x").to_numpy().astype(np.float64), pixel_nm, transmitted=transmitted)
    if found.reason:
        return _refused(found.reason, method)
    if abs(found.contrast) < LEAST_CONTRAST:
        return _refused(f"metal and shell differ too little to see where metal begins (contrast {found.contrast:.2f})", method)
    count, thickness = found.thickness.size, float(found.thickness.mean())
    relative = math.hypot(model_std + POOR_CONTRAST_STD * max(GOOD_CONTRAST - abs(found.contrast), 0.0), CALIBRATION_STD)
    edge = math.hypot(EDGE_PIXELS * pixel_nm, EDGE_NM)
    noise = float(np.sqrt((found.noise_std**2).sum())) / count
    spread = math.sqrt(max(float(found.thickness.var(ddof=1)) - float((found.noise_std**2).mean()), 0.0))
    detail = f"{method}; {count} stretches, contrast {found.contrast:.2f}"
    return (Measurement("sei_thickness", thickness, math.hypot(math.hypot(relative * thickness, edge), noise), "nm", detail),
            Measurement("sei_thickness_spread", spread, math.hypot(0.35 * spread, edge), "nm",
                        f"{detail}; standard deviation along the outline", title=SPREAD_TITLE))


def _refused(reason: str, method: str) -> tuple[Measurement, ...]:
    return (unknown("sei_thickness", "nm", method, reason), unknown("sei_thickness_spread", "nm", method, reason, SPREAD_TITLE))


def _not_in_nm(data: xr.Dataset | xr.DataArray) -> str:
    loose = [d for d in ("y", "x") if d not in data.coords or data[d].attrs.get("units") != "nm"]
    return f"{' and '.join(loose)} not calibrated: say axes in the study sheet" if loose else ""


# -- outline -----------------------------------------------------------------------------------------------------------------

def _segmented(image: Floats, pixel_nm: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The deposit, and the surrounding well away from it."""
    smooth = ndimage.gaussian_filter(image, min(max(1.0 / pixel_nm, 1.0), min(image.shape) / 40))
    low = np.percentile(smooth, 0.5)
    root = np.sqrt(np.maximum(smooth - low, 0.0))
    best = None
    if np.unique(root).size < 8:
        raise _NoOutline("the image is blank: no even surrounding from which a deposit stands out")
    for level in (filters.threshold_otsu(root), filters.threshold_multiotsu(root, classes=3)[0]):
        mask = _largest(root > level)
        away = ndimage.binary_erosion(~mask, iterations=max(2, round(5.0 / pixel_nm)), border_value=1)
        if not 0.02 < mask.mean() < 0.985 or away.sum() < 30:
            continue
        dark, bright = float(np.median(smooth[away])), float(np.median(smooth[mask]))
        even = float(np.std(smooth[away])) / max(bright - dark, 1e-30)
        if even < 0.12 and (best is None or even < best[0]):
            best = (even, mask, away)
    if best is None:
        raise _NoOutline("no even surrounding from which a deposit stands out")
    return best[1], best[2]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All parts of at least a tenth of the largest one, holes filled."""
    label, count = ndimage.label(mask)
    if count == 0:
        return mask
    size = np.bincount(label.ravel())[1:]
    kept = np.flatnonzero(size >= 0.1 * size.max()) + 1
    return np.asarray(ndimage.binary_fill_holes(np.isin(label, kept)))


def _plane(image: Floats, vacuum: NDArray[np.bool_]) -> Floats:
    """Level of the surrounding: a plane where enough of it is seen, else its mean."""
    y, x = np.nonzero(vacuum)
    if y.size < 0.05 * image.size or np.ptp(y) < 0.5 * image.shape[0] or np.ptp(x) < 0.5 * image.shape[1]:
        return np.full(image.shape, float(image[vacuum].mean()))
    design = np.stack([np.ones(y.size), y, x], 1)
    a, b, c = np.linalg.lstsq(design, image[y, x], rcond=None)[0]
    rows, columns = np.mgrid[:image.shape[0], :image.shape[1]]
    return np.asarray(a + b * rows + c * columns)


def _absorbance(image: Floats, pixel_nm: float) -> Floats:
    """-ln(I / I0) of a bright-field image, I0 being the brightest even level."""
    smooth = ndimage.gaussian_filter(np.asarray(image, dtype=np.float64), max(0.5 / pixel_nm, 1.0))
    clear = float(np.percentile(smooth, 98.0))
    if clear <= 0:
        raise _NoOutline("the image is dark")
    return np.asarray(-np.log(np.maximum(smooth, 0.02 * clear) / clear))


# -- fit ---------------------------------------------------------------------------------------------------------------------

def _stretch(values: Floats, depth: Floats, seen: NDArray[np.bool_], rows: NDArray[np.intp],
             independent: float) -> tuple[Floats, Floats, Floats]:
    """Depth, mean profile and its standard error over some positions; neighbours a few pixels apart share their noise."""
    part = np.where(seen[rows], values[rows], np.nan)
    count = np.isfinite(part).sum(0)
    ok = count > 0.7 * rows.size
    part = part[:, ok]
    mean = np.nanmean(part, 0)
    error = np.nanstd(part, 0) / math.sqrt(max(independent / 2, 2.0))
    patches = 0.02 * np.abs(mean) + 0.01 * float(np.abs(mean).max())
    return depth[ok], mean, np.hypot(error, patches)


def _blurred_chord(depth: Floats, edge: float, radius: float, blur: float) -> Floats:
    inner = depth[:, None] - edge - blur * NODES
    return np.asarray(2 * np.sqrt(np.maximum(inner * (2 * radius - inner), 0.0)) @ WEIGHTS)


def _model(p: Floats, depth: Floats, radius: float) -> Floats:
    scale, rho, outer, thickness, blur_outer, blur_inner, level = (float(value) for value in p)
    whole = _blurred_chord(depth, outer, radius, blur_outer)
    metal = _blurred_chord(depth, outer + thickness, max(radius - thickness, 1.0), blur_inner)
    return np.asarray(scale * (whole - (1 - rho) * metal) + level)


def _global_fit(depth: Floats, mean: Floats, error: Floats, radius: float) -> Floats:
    """Best of several starts, since a shell too thin or too thick, and metal too dark or too bright, are local optima."""
    top = float(mean.max())
    best, cost = None, math.inf

    def residual(p: Floats) -> Floats:
        return (_model(p, depth, radius) - mean) / error

    for start, rho in itertools.product((6.0, 15.0, 35.0, 80.0), (0.4, 1.8)):
        if start > 0.8 * radius:
            continue
        p0 = np.array([top / 2 / math.sqrt(start * (2 * radius - start)), rho, 0.0, start, 3.0, 3.0, 0.0])
        low = [1e-12, -0.1, -40.0, 1.0, 0.2, 0.2, -0.3 * top]
        high = [np.inf, 2.5, 60.0, 0.95 * radius, 40.0, 40.0, 0.3 * top]
        fit = optimize.least_squares(residual, p0, bounds=(low, high), max_nfev=60,
                                     x_scale=[p0[0], 0.2, 3.0, 3.0, 2.0, 2.0, 0.05 * top])
        if fit.cost < cost:
            best, cost = fit.x, fit.cost
    assert best is not None
    return np.asarray(best)


def _local_fit(depth: Floats, mean: Floats, error: Floats, first: Floats, radius: float) -> tuple[Floats, float]:
    """Parameters of one stretch, and the std of its thickness; the whole outline's fit is the prior of what varies little."""
    width = np.array([0.3 * first[0], 0.1, 15.0, max(0.6 * first[3], 4.0), 0.5 * first[4] + 0.5, 0.4 * first[5] + 0.5,
                      0.02 * float(np.abs(mean).max())])
    low = [1e-12, -0.3, -80.0, 0.5, 0.1, 0.1, -np.inf]
    high = [np.inf, 3.0, 100.0, 0.97 * radius, 60.0, 60.0, np.inf]

    def residual(p: Floats) -> Floats:
        return np.concatenate([(_model(p, depth, radius) - mean) / error, (p - first) / width])
    fit = optimize.least_squares(residual, np.clip(first, np.array(low) + 1e-9, np.array(high)), bounds=(low, high),
                                 x_scale=width, max_nfev=40)
    jacobian = np.asarray(fit.jac, dtype=np.float64)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    return np.asarray(fit.x), math.sqrt(max(float(covariance[3, 3]), 0.0))


def _observed(p: Floats, radius: float) -> float:
    """Thickness that an ideal observer of the fitted projection would read off."""
    _, _, outer, thickness, blur_outer, blur_inner, _ = p
    depth = np.arange(outer - 3.5 * blur_outer, outer + thickness + 3 * blur_inner + 1.0, 0.1)
    metal = _blurred_chord(depth, outer + thickness, max(radius - thickness, 1.0), blur_inner)
    seen = _blurred_chord(depth, outer, radius, blur_outer) - metal
    top = int(np.argmax(seen))
    below = np.flatnonzero(seen[:top] < 0.5 * seen[top])
    if not below.size:
        return math.nan
    return float(outer + thickness - depth[below[-1]])


IMAGE_THICKNESS = Descriptor(
    name="image_thickness", title="SEI thickness, projected", unit="nm", techniques=("stem_image", "tem_image"), method=METHOD,
    measure=measure_image, names=("sei_thickness", "sei_thickness_spread"))
MAP_THICKNESS = Descriptor(
    name="map_thickness", title="SEI thickness, projected", unit="nm", techniques=("eels", "edx"), method=METHOD,
    measure=measure_map, names=("sei_thickness", "sei_thickness_spread"))
