"""Whether what this machine has installed fits: Python, packages, PyTorch."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

from search.machine.findings import Finding, Package

DISTRIBUTION = "hypersearch"


def python_finding() -> Finding:
    """The interpreter; an older one than the oldest supported fails to import this."""
    system = f"{platform.system()} {platform.machine()}"
    return Finding(
        "python", f"{platform.python_version()} ({platform.python_implementation()}, {system})"
    )


def package_findings() -> Iterator[Finding]:
    """What the installed distribution requires, then the drivers of its extras, then whether
    PyTorch loads.
    """
    try:
        required = [Requirement(text) for text in requires(DISTRIBUTION) or ()]
        extras = [
            extra
            for extra in metadata(DISTRIBUTION).get_all("Provides-Extra") or ()
            if extra != "dev"
        ]
    except PackageNotFoundError:
        mend = "pip install it, as a worker started elsewhere would not find it"
        yield Finding("packages", f"{DISTRIBUTION} is not installed", mend, 2)
        return
    needed = [
        _package(each)
        for each in required
        if each.marker is None or each.marker.evaluate({"extra": ""})
    ]
    wrong = [each for each in needed if not _fits(each)]
    yield Finding(
        "packages",
        ", ".join(f"{each.name} {each.version or 'is not there'}" for each in needed),
        (
            f"pip install {' '.join(repr(each.name + each.wanted) for each in wrong)}"
            if wrong
            else None
        ),
        2 if wrong else 0,
        tuple(needed),
    )
    optional = [
        _package(each, extra)
        for extra in extras
        for each in required
        if each.marker is not None and each.marker.evaluate({"extra": extra})
    ]
    yield Finding(
        "extras",
        ", ".join(
            f"{each.name}"
            f" {each.version or f'is not there (pip install {DISTRIBUTION}[{each.extra}])'}"
            for each in optional
        ),
        facts=tuple(optional),
    )
    yield torch_finding()


def _package(requirement: Requirement, extra: str | None = None) -> Package:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        found = None
    return Package(requirement.name, found, str(requirement.specifier), extra)


def _fits(package: Package) -> bool:
    wanted = Requirement(f"{package.name}{package.wanted}").specifier
    return package.version is not None and wanted.contains(package.version, prereleases=True)


def torch_finding() -> Finding:
    """Whether PyTorch and torchvision load beside each other."""
    try:
        import torch
        import torchvision
    # A library may be missing, or two builds may not fit: anything can be raised.
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        mend = (
            "install torch and torchvision together, from one index:"
            " https://pytorch.org/get-started"
        )
        return Finding("pytorch", f"does not load ({type(error).__name__}: {said})", mend, 2)
    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return Finding(
        "pytorch",
        f"loads: torch {torch.__version__} {build}, torchvision {torchvision.__version__}",
    )
