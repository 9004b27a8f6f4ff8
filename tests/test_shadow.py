"""A foreign `datasets` or `registration` package is noticed at import, in one clear error."""

import subprocess
import sys
from pathlib import Path

import pytest

from correlate.shadow import refuse_foreign_packages

ROOT = Path(__file__).parents[1]


def test_our_own_packages_are_accepted():
    refuse_foreign_packages()


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(ImportError, match="'no_such_package'"):
        refuse_foreign_packages(("no_such_package",), tmp_path)


@pytest.mark.parametrize("name", ["datasets", "registration"])
def test_a_foreign_package_in_front_of_ours_gives_one_clear_error(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nimport correlate"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert str(tmp_path / name) in last
    assert "environment of its own" in last
