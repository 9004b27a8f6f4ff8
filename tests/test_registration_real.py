"""Pairs of real images, with truth by other people, are placed to a small part of the frame."""

import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from registration import align


def real_image(path, frame):
    values = np.asarray(Image.open(path).convert("L"), np.float32)
    coords = {d: (d, np.arange(float(n)), {"units": "nm"}) for d, n in zip("yx", values.shape, strict=True)}
    image = xr.DataArray(values, coords, ("y", "x"), attrs={"frame": frame})
    return image.where(image > 0) if (values == 0).mean() > 0.02 else image


def landmarks(folder, name):
    """(n, 2) positions (y, x), 0-based pixels, of the same places in the moving and the fixed image."""
    saved = json.loads((folder / f"{name}.json").read_text())
    moving, fixed = (np.array(saved[f"landmarks_{k}"])[:, ::-1] - 1 for k in ("moving", "fixed"))
    return moving, fixed


@pytest.mark.parametrize("name", ["mr_pet_6", "vis_ir_2", "depthoptical_2", "infrared_optical_2", "pd_t1_24"])
def test_a_real_pair_of_two_modalities_is_placed_within_two_percent_of_the_diagonal(real_data, name):
    folder = real_data / "registration" / "starainj"
    if not (folder / f"{name}.json").is_file():
        pytest.skip(f"{name} is not among the real pairs")
    fixed, moving = (real_image(folder / f"{name}_{k}.png", k) for k in ("fixed", "moving"))
    there, truth = landmarks(folder, name)
    found = align(fixed, moving, model="affine")
    error = np.linalg.norm(found.transform.apply(there) - truth, axis=1).mean()
    assert error < 0.02 * np.hypot(*fixed.shape)


@pytest.mark.parametrize("number", [1, 3])
def test_an_infrared_image_turned_against_the_visible_one_is_placed(real_data, number):
    folder = real_data / "registration" / "srif" / "Optical-Infrared"
    matrix = np.loadtxt(folder / f"gt_{number}.txt").reshape(-1, 3)[:2]
    first, second = (real_image(folder / f"pair{number}_{k}.jpg", f"image {k}") for k in (1, 2))
    found = align(second, first, model="affine")
    y, x = (np.linspace(0, n - 1, 5) for n in first.shape)
    xy = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    truth = (xy @ matrix[:, :2].T + matrix[:, 2])[:, ::-1]
    inside = ((truth >= 0) & (truth < second.shape)).all(1)
    error = np.linalg.norm(found.transform.apply(xy[:, ::-1]) - truth, axis=1)[inside].mean()
    assert error < 0.01 * np.hypot(*second.shape)
