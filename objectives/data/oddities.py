"""What is odd in a folder of images, told to whoever decodes it."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from objectives.data.image_file import CROP, PAD, STRETCH, Read, Unread, cut_away
from objectives.data.listing import ImageFile, Listing, printable, some
from objectives.data.source import fingerprint_of

# A class with so many times the images of the smallest one is said to be uneven.
UNEVEN = 10
# Cropping is said to cut much where more than this share of the images lose more than that share of
# their area. A photograph of 4 by 3 loses a quarter to a square, and is not among them.
MANY, MUCH = 0.25, 0.25
# Where the middle half of the images' aspect ratios lies within this factor, stretching changes the
# shape of all about alike.
ALIKE = 1.25


@dataclass(frozen=True)
class Folder:
    """A folder of images that was decoded; each sequence goes along its listing's files."""

    listing: Listing
    found: tuple[Read | Unread, ...]
    in_test: tuple[bool, ...]
    groups: Sequence[str] | None
    # Images were brought to their size in the way that image_file.fitted names so.
    resize: str
    # The shape is the height and width that images were brought to.
    shape: tuple[int, int]
    # Height and width that each had; None where its header could not be read.
    sizes: tuple[tuple[int, int] | None, ...]

    def images(self) -> Iterator[tuple[int, ImageFile, Read]]:
        """The files that hold an image, with their places."""
        for place, (file, found) in enumerate(zip(self.listing.files, self.found, strict=True)):
            if isinstance(found, Read):
                yield place, file, found

    def fingerprint(self) -> str:
        """See source.fingerprint_of; where groups decide on the splits, the group stands behind the
        content.
        """
        return fingerprint_of(
            (
                self.listing.class_names[file.label],
                "test" if self.in_test[place] else "train",
                found.digest.hex(),
                *(() if self.groups is None else (self.groups[place],)),
            )
            for place, file, found in self.images()
        )


def unread_lines(folder: Folder) -> Iterator[str]:
    """Each file that holds no image, with the reason."""
    for file, found in zip(folder.listing.files, folder.found, strict=True):
        if isinstance(found, Unread):
            yield f"{printable(file.name)} is left out: {printable(found.reason)}"


def oddities(folder: Folder) -> Iterator[str]:
    """One line for each kind of thing that is odd."""
    listing, files = folder.listing, folder.listing.files
    if listing.left_out:
        yield (
            f"{len(listing.left_out)} files or folders are no images or stand in no class:"
            f" {some(listing.left_out)}"
        )
    unread = [
        file.name
        for file, found in zip(files, folder.found, strict=True)
        if isinstance(found, Unread)
    ]
    if unread:
        yield (
            f"{len(unread)} of {len(files)} images cannot be read and are left out: {some(unread)}"
            " (-v names each with its reason)"
        )
    if blank := [file.name for _, file, found in folder.images() if found.shows_nothing]:
        yield f"{len(blank)} images have next to no distinct values and show nothing: {some(blank)}"
    yield from _copies(folder)
    yield from _shared_groups(folder)
    yield from _unevenness(folder)
    yield from _cut_away(folder)


def _copies(folder: Folder) -> Iterator[str]:
    copies = _alike(folder, lambda found: found.digest)
    contradicting = [same for same in copies if len({file.label for file in same}) > 1]
    if contradicting:
        yield (
            f"{len(contradicting)} images stand in more than one class, where all but one are"
            f" mislabelled: {some(_first_of_each_side(same) for same in contradicting)}"
        )
    shared = [same for same in copies if len({file.in_test for file in same}) > 1]
    if shared:
        yield (
            f"{len(shared)} images of test are in train too, so that the test split flatters: "
            f"{some(_first_of_each_side(same) for same in shared)}"
        )
    within = [twice for same in copies if (twice := _twice_on_a_side(same))]
    if within:
        more = sum(len(same) for same in copies) - sum(
            len({(f.label, f.in_test) for f in same}) for same in copies
        )
        yield f"{more} images are copies of others of their class: {some(within)}"
    looks = _alike(folder, lambda found: found.look or None)
    contents = {file.name: found.digest for _, file, found in folder.images()}
    near = [same for same in looks if len({contents[file.name] for file in same}) > 1]
    if near:
        yield (
            f"{sum(map(len, near))} images look like another one, which may stand on the other side"
            " of a split (near-copies, by a difference hash):"
            f" {some(_two_that_differ(same, contents) for same in near)}; data.groups keeps"
            " together what belongs together"
        )


def _alike(folder: Folder, mark: Callable[[Read], Hashable | None]) -> list[list[ImageFile]]:
    """The images that share a mark with another, by the first of them."""
    found: dict[Hashable, list[ImageFile]] = {}
    for _, file, read in folder.images():
        if (marked := mark(read)) is not None:
            found.setdefault(marked, []).append(file)
    return [same for same in found.values() if len(same) > 1]


def _first_of_each_side(same: Sequence[ImageFile]) -> str:
    """One file of each class and split that share a content."""
    first: dict[tuple[int, bool], str] = {}
    for file in same:
        first.setdefault((file.label, file.in_test), file.name)
    return " = ".join(first.values())


def _twice_on_a_side(same: Sequence[ImageFile]) -> str | None:
    """Two files of one class and split that share a content."""
    first: dict[tuple[int, bool], str] = {}
    for file in same:
        if (earlier := first.setdefault((file.label, file.in_test), file.name)) != file.name:
            return f"{earlier} = {file.name}"
    return None


def _two_that_differ(same: Sequence[ImageFile], contents: dict[str, bytes]) -> str:
    one = same[0]
    other = next(file for file in same if contents[file.name] != contents[one.name])
    return f"{one.name} ~ {other.name}"


def _shared_groups(folder: Folder) -> Iterator[str]:
    """Of a test split that is the user's own: one that is made here never divides a group."""
    if folder.groups is None:
        return
    sides: dict[str, set[bool]] = {}
    for place, _, _ in folder.images():
        sides.setdefault(folder.groups[place], set()).add(folder.in_test[place])
    if shared := [group for group, on in sides.items() if len(on) > 1]:
        yield (
            f"{len(shared)} groups of test are in train too, so that the test split flatters:"
            f" {some(shared)}"
        )


def _unevenness(folder: Folder) -> Iterator[str]:
    names = folder.listing.class_names
    counts = np.bincount([file.label for _, file, _ in folder.images()], minlength=len(names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] >= UNEVEN * counts[fewest] > 0:
        yield (
            f'class "{names[most]}" has {counts[most]} images and "{names[fewest]}"'
            f' {counts[fewest]}: accuracy counts images; metric = "balanced_accuracy" or "macro_f1"'
            " counts classes, and class_weights and balanced_sampling in [space] train for it"
        )


def _cut_away(folder: Folder) -> Iterator[str]:
    sizes = [size for place, _, _ in folder.images() if (size := folder.sizes[place]) is not None]
    lost = np.array([cut_away(size, *folder.shape) for size in sizes])
    much = lost[lost > MUCH]
    if folder.resize != CROP or len(much) <= MANY * len(lost):
        return
    low, high = np.quantile([width / height for height, width in sizes], (0.25, 0.75))
    better = (
        f'"{STRETCH}", which keeps all of each, as they have about the same shape'
        if high <= ALIKE * low
        else f'"{PAD}", which keeps all of each and its shape'
    )
    yield (
        f'data.resize = "{CROP}" cuts more than {MUCH:.0%} off {len(much)} of {len(lost)} images,'
        f" {np.median(much):.0%} off half of these or more: try {better}"
    )
