"""Weights that torchvision publishes for networks of the zoo: where they are and what they need."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import unknown
from residua.weights.classes import imagenet_classes
from residua.weights.metadata import Accuracy, ClassEntry, Preprocessing

# Network, version, first digits of the file's SHA-256, side after resizing, top-1, top-5; as torchvision
# 0.29 lists them. vgg16's IMAGENET1K_FEATURES is not here: its classifier has no valid weights.
TABLE: tuple[tuple[str, str, str, int, float, float], ...] = (
    ("resnet18", "V1", "f37072fd", 256, 69.758, 89.078),
    ("resnet34", "V1", "b627a593", 256, 73.314, 91.420),
    ("resnet50", "V1", "0676ba61", 256, 76.130, 92.862),
    ("resnet50", "V2", "11ad3fa6", 232, 80.858, 95.434),
    ("resnet101", "V1", "63fe2227", 256, 77.374, 93.546),
    ("resnet101", "V2", "cd907fc2", 232, 81.886, 95.780),
    ("resnet152", "V1", "394f9c45", 256, 78.312, 94.046),
    ("resnet152", "V2", "f82ba261", 232, 82.284, 96.002),
    ("resnext50_32x4d", "V1", "7cdf4587", 256, 77.618, 93.698),
    ("resnext50_32x4d", "V2", "1a0047aa", 232, 81.198, 95.340),
    ("resnext101_32x8d", "V1", "8ba56ff5", 256, 79.312, 94.526),
    ("resnext101_32x8d", "V2", "110c445d", 232, 82.834, 96.228),
    ("resnext101_64x4d", "V1", "173b62eb", 232, 83.246, 96.454),  # V1, but of the newer recipe
    ("wide_resnet50_2", "V1", "95faca4d", 256, 78.468, 94.086),
    ("wide_resnet50_2", "V2", "9ba9bcbe", 232, 81.602, 95.758),
    ("wide_resnet101_2", "V1", "32ee1156", 256, 78.848, 94.284),
    ("wide_resnet101_2", "V2", "d733dc28", 232, 82.510, 96.020),
    ("vgg16", "V1", "397923af", 256, 71.592, 90.382),
    ("vgg16_bn", "V1", "6c64b313", 256, 73.360, 91.516),
    ("vgg19", "V1", "dcbb9e9d", 256, 72.376, 90.876),
    ("vgg19_bn", "V1", "c79401a0", 256, 74.218, 91.842),
)


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published file of weights, trained on ImageNet-1k."""

    name: str  # in the zoo
    version: str
    sha256: str  # its first 8 digits
    preprocessing: Preprocessing
    accuracy: Accuracy

    @property
    def file_name(self) -> str:
        """What its publisher calls the file."""
        return f"{self.name}-{self.sha256}.pth"

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"https://download.pytorch.org/models/{self.file_name}"

    @property
    def classes(self) -> tuple[ClassEntry, ...]:
        """The classes that the network tells apart, in its order."""
        return imagenet_classes()


def _row(name: str, version: str, sha256: str, resize: int, top1: float, top5: float) -> Published:
    return Published(
        name=name,
        version=version,
        sha256=sha256,
        preprocessing=Preprocessing(size=224, resize=resize),
        accuracy=Accuracy(top1=top1, top5=top5, data="ImageNet-1k validation", measured_by="torchvision"),
    )


_ALL = tuple(_row(*row) for row in TABLE)


def all_published() -> tuple[Published, ...]:
    """List every published file."""
    return _ALL


def published(name: str, version: str | None = None) -> Published:
    """Look up a network's published weights: the most accurate, or the version asked for."""
    versions = {row.version: row for row in _ALL if row.name == name}
    if not versions:
        raise unknown("published weights", name, {row.name for row in _ALL})
    if version is None:
        return max(versions.values(), key=lambda row: row.accuracy.top1)
    if version not in versions:
        raise unknown(f"version of {name}", version, versions)
    return versions[version]


def by_digest(sha256_hex: str) -> Published | None:
    """Recognise a published file by the SHA-256 of its bytes, whatever its name is now."""
    return next((row for row in _ALL if sha256_hex.lower().startswith(row.sha256)), None)
