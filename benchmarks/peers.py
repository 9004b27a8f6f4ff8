"""The usual ways to align two images of unlike contrast, each as its documentation starts it: what `align` is measured beside.

elastix (`itk-elastix`) comes with the `bench` extra. ANTsPy asks for NumPy below 2.4 and is in no extra; to have it in the same
run make another environment with `pip install antspyx itk-elastix SimpleITK scikit-image xarray pandas` and start the
benchmark with its Python. What is not installed is left out, and said to be.
"""

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import importlib.util
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk  # noqa: N813
import xarray as xr
from skimage.registration import phase_cross_correlation
from skimage.transform import resize

from registration import Transform

Method = Callable[[xr.DataArray, xr.DataArray], Transform]
"""Fixed and moving image -> transform moving -> fixed."""


def pixel(image: xr.DataArray) -> tuple[float, float]:
    """(x, y) size of a pixel, nm, as ITK orders it."""
    return float(image.x[1] - image.x[0]), float(image.y[1] - image.y[0])


def from_points(there: Callable[[np.ndarray], np.ndarray]) -> Transform:
    """The transform moving -> fixed of an affine map (x, y) fixed -> (x, y) moving, as all of ITK's family give it."""
    o, x, y = (np.asarray(there(np.array(p)))[::-1] for p in ((0.0, 0.0), (100.0, 0.0), (0.0, 100.0)))
    return Transform("fixed", "moving", np.c_[(y - o) / 100, (x - o) / 100, o]).inverse()


def simple_itk(optimizer: str) -> Method:
    """SimpleITK as its notebooks use it: affine, Mattes mutual information, four levels, started at the centres."""
    def run(fixed: xr.DataArray, moving: xr.DataArray) -> Transform:
        images = []
        for a in (fixed, moving):
            image = sitk.GetImageFromArray(a.values)
            image.SetSpacing(pixel(a))
            images.append(image)
        geometry = sitk.CenteredTransformInitializerFilter.GEOMETRY
        start = sitk.CenteredTransformInitializer(*images, sitk.AffineTransform(2), geometry)
        r = sitk.ImageRegistrationMethod()
        r.SetNumberOfThreads(1)
        r.SetMetricAsMattesMutualInformation(32)
        r.SetMetricSamplingStrategy(r.RANDOM)
        r.SetMetricSamplingPercentagePerLevel([min(1.0, 0.2 * s * s) for s in (8, 4, 2, 1)], 1)
        r.SetInterpolator(sitk.sitkLinear)
        step = pixel(fixed)[0]
        if optimizer == "gradient":
            r.SetOptimizerAsGradientDescent(1.0, 200, 1e-6, 10, estimateLearningRate=r.Once)
        else:
            r.SetOptimizerAsRegularStepGradientDescent(2.0 * step, 0.02 * step, 200, 0.6, 1e-10)
        r.SetOptimizerScalesFromPhysicalShift()
        r.SetShrinkFactorsPerLevel([8, 4, 2, 1])
        r.SetSmoothingSigmasPerLevel([4, 2, 1, 0])
        r.SetInitialTransform(start, True)
        r.Execute(*images)
        return from_points(lambda p: start.TransformPoint(p.tolist()))
    return run


def elastix(fixed: xr.DataArray, moving: xr.DataArray) -> Transform:
    """Default rigid, then default affine; levels follow the size so that the coarsest has about 64 pixels."""
    import itk

    images = []
    for a in (fixed, moving):
        image = itk.image_from_array(np.ascontiguousarray(a.values, np.float32))
        image.SetSpacing(pixel(a))
        images.append(image)
    levels = max(4, int(np.log2(max(fixed.shape) / 64)) + 1)
    parameters = itk.ParameterObject.New()
    for kind in ("rigid", "affine"):
        parameters.AddParameterMap(itk.ParameterObject.GetDefaultParameterMap(kind, levels))
    _, found = itk.elastix_registration_method(*images, parameter_object=parameters, number_of_threads=1, log_to_console=False)
    maps = [found.GetParameterMap(k) for k in range(found.GetNumberOfParameterMaps())]

    def there(p: np.ndarray) -> np.ndarray:
        for m in maps:
            v = [float(t) for t in m["TransformParameters"]]
            c = np.array([float(t) for t in m["CenterOfRotationPoint"]])
            turn = (np.array([[np.cos(v[0]), -np.sin(v[0])], [np.sin(v[0]), np.cos(v[0])]]) if len(v) == 3
                    else np.array(v[:4]).reshape(2, 2))
            p = turn @ (p - c) + c + v[-2:]
        return p
    return from_points(there)


def ants_affine(fixed: xr.DataArray, moving: xr.DataArray) -> Transform:
    """ANTsPy's `Affine`; its arrays are ordered x, y."""
    import ants

    images = [ants.from_numpy(np.ascontiguousarray(a.values.T, np.float32), spacing=pixel(a)) for a in (fixed, moving)]
    found = ants.registration(*images, type_of_transform="Affine", random_seed=1)
    transform = ants.read_transform(found["fwdtransforms"][0])
    return from_points(lambda p: np.array(ants.apply_ants_transform_to_point(transform, p.tolist())))


def phase_correlation(fixed: xr.DataArray, moving: xr.DataArray) -> Transform:
    """scikit-image's shift between both images on the fixed one's pixels."""
    step = pixel(fixed)[::-1]
    shape = [round(n * p / s) for n, p, s in zip(moving.shape, pixel(moving)[::-1], step, strict=True)]
    other = resize(moving.values, shape, anti_aliasing=True)
    canvas = np.full(fixed.shape, other.mean(), np.float32)
    h, w = (min(a, b) for a, b in zip(shape, fixed.shape, strict=True))
    canvas[:h, :w] = other[:h, :w]
    shift, _, _ = phase_cross_correlation(fixed.values, canvas, upsample_factor=10)
    return Transform.of("moving", "fixed", np.eye(2), np.array(shift) * step, "translation")


def installed() -> dict[str, Method]:
    """All peers that can run here."""
    found: dict[str, Method] = {"recipe": simple_itk("gradient"), "regular step": simple_itk("regular"),
                                "phase": phase_correlation}
    for name, package, method in (("elastix", "itk", elastix), ("ANTsPy", "ants", ants_affine)):
        if importlib.util.find_spec(package):
            found[name] = method
        else:
            print(f"{name} is not installed and is left out")
    return found
