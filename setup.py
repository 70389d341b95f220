# SPDX-License-Identifier: MIT
"""setup.py - how the wheel's module is built: see pyproject.toml"""
import pathlib
import re

from setuptools import Extension, setup


def sources(folder):
    """As meson has them."""
    return [f"{folder}/{name}" for name in
            re.findall(r"^  '([a-z_]+\.c)',$", pathlib.Path(folder, "meson.build").read_text(), re.M)]


version = re.search(r"^  version: '(.*)'", pathlib.Path("meson.build").read_text(), re.M).group(1)
config = pathlib.Path("build/wheel")
config.mkdir(parents=True, exist_ok=True)
(config / "build_config.h").write_text(
    f'#define MEMPOOL_VERSION "{version}"\n#define MEMPOOL_SANITIZED 0\n')

setup(
    version=version,
    ext_modules=[Extension(
        "mempool._mempool",
        [f"python/{name}.c" for name in ("chunk", "client", "module", "peek", "rings")] +
        sources("shm") + sources("client"),
        include_dirs=[".", "include", str(config)],
        define_macros=[("_GNU_SOURCE", None), ("MEMPOOL_BUILT_IN", None), ("Py_LIMITED_API", "0x030b0000")],
        extra_compile_args=["-std=gnu11", "-fvisibility=hidden", "-Wno-missing-field-initializers"],
        py_limited_api=True)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}})
