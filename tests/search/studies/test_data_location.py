"""Where a study's data is looked for on a machine, and what decides whether it is the right one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from objectives.data.config import DataConfig
from objectives.data.source import DataFacts
from objectives.errors import DataError, DataUnavailable
from search.machine.this_machine import Files, Machine
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec
from search.studies.data_location import find_data, read_data_map, split_data_map
from storage.errors import OtherData
from storage.studies import Budget, StoredStudy

OURS, OTHER = "a" * 64, "b" * 64


@dataclass(frozen=True)
class Found:
    """What is known of an opened data set."""

    facts: DataFacts


def spec_of(dataset: str) -> StudySpec:
    return parse_spec({"study": {"name": "s"}, "data": {"dataset": dataset}})


def stored(folder: Path | None, fingerprint: str | None = OURS) -> StoredStudy:
    at = None if folder is None else str(folder)
    return StoredStudy(
        1,
        "u",
        "s",
        "{}",
        "0",
        Budget(2),
        "open",
        None,
        None,
        None,
        data_folder=at,
        data_fingerprint=fingerprint,
    )


@dataclass
class Place:
    """A machine, its folders by what they hold, and a user in its folder `here`."""

    root: Path
    holds: Mapping[str, str | Exception]

    def find(
        self,
        dataset: str,
        study: StoredStudy | None,
        data_map: Mapping[str, str] | None = None,
        accept_data: bool = False,
    ) -> str:
        """The data set that is opened, with the machine's root cut off."""
        for name in self.holds:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        nowhere = self.root / "unused"
        machine = Machine(
            self.root / "data",
            nowhere,
            nowhere,
            Files("", nowhere),
            data_map=read_data_map(
                {key: str(self.root / here) for key, here in (data_map or {}).items()}
            ),
            accept_data=accept_data,
        )

        def open_data(config: DataConfig) -> Found:
            folder = Path(config.dataset.removeprefix("images:")).absolute()
            held = self.holds.get(folder.relative_to(self.root).as_posix(), OTHER)
            if isinstance(held, Exception):
                raise held
            return Found(DataFacts(held))

        config, _ = find_data(spec_of(dataset), study, machine, open_data)
        return config.dataset.replace(f"{self.root}/", "/")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


PHOTOS = "images:photos"
# These are found in the folders of a machine, for a study that was created in `home`.
FOUND = {
    "where the study was created": (
        ("home/photos", "here/photos", "data/photos"),
        "images:/home/photos",
    ),
    "as written, from here": (("here/photos", "data/photos"), "images:photos"),
    "below the data root": (("data/photos",), "images:/data/photos"),
}


@pytest.mark.parametrize(("folders", "expected"), FOUND.values(), ids=FOUND)
def test_images_are_found(folders: tuple[str, ...], expected: str, root: Path) -> None:
    place = Place(root, dict.fromkeys(folders, OURS))
    assert place.find(PHOTOS, stored(root / "home" / "photos")) == expected
    assert (
        Place(root, {**place.holds, "mapped": OURS}).find(
            PHOTOS, stored(root / "home" / "photos"), {"photos": "mapped"}
        )
        == "images:/mapped"
    )


@pytest.mark.parametrize(
    "wrong", [OTHER, DataError("of one class"), DataUnavailable("not readable")]
)
@pytest.mark.parametrize("right", ["here/photos", "data/photos"])
def test_the_fingerprint_decides_which_of_the_places_it_is(
    wrong: str | Exception, right: str, root: Path
) -> None:
    holds = {"mapped": wrong, "home/photos": wrong, "here/photos": wrong, "data/photos": wrong} | {
        right: OURS
    }
    found = Place(root, holds).find(
        PHOTOS, stored(root / "home" / "photos"), {"images:photos": "mapped"}
    )
    assert found == ("images:photos" if right == "here/photos" else f"images:/{right}")


def test_where_no_place_has_the_fingerprint_the_first_one_is_named(root: Path) -> None:
    place = Place(root, {"home/photos": OTHER, "here/photos": "c" * 64})
    with pytest.raises(OtherData) as refused:
        place.find(PHOTOS, stored(root / "home" / "photos"))
    assert (
        str(refused.value)
        == f"study 's' is on other data than images:{root}/home/photos (fingerprint aaaaaaaaaaaa,"
        " not bbbbbbbbbbbb): restore it, say where it lies with --data-map STORED=HERE or"
        " --data-root DIR, or go on with this by --accept-data"
    )


def test_whoever_accepts_other_data_gets_the_first_that_is_found(root: Path) -> None:
    place = Place(root, {"new": OTHER, "home/photos": OURS, "here/photos": OTHER})
    study = stored(root / "home" / "photos")
    assert place.find(PHOTOS, study, accept_data=True) == "images:/home/photos"
    assert place.find(PHOTOS, study, {"photos": "new"}, accept_data=True) == "images:/new"
    assert place.find(PHOTOS, study, {"photos": "new"}) == "images:/home/photos"


def test_a_relative_path_is_not_looked_up_from_elsewhere_before_a_fingerprint_tells(
    root: Path,
) -> None:
    place = Place(root, {"here/photos": OTHER})
    with pytest.raises(DataUnavailable) as refused:
        place.find(PHOTOS, stored(root / "home" / "photos", fingerprint=None))
    assert (
        str(refused.value)
        == f'dataset "images:photos": found in none of {root}/home/photos, {root}/data/photos;'
        " place it in one of them, or say where it lies with --data-map photos=HERE"
    )
    with pytest.raises(OtherData):
        place.find(PHOTOS, stored(root / "home" / "photos"))


def test_a_study_that_knows_no_folder_is_looked_up_from_here(root: Path) -> None:
    assert Place(root, {"here/photos": OTHER}).find(PHOTOS, stored(None, None)) == "images:photos"
    # The study is being created.
    assert Place(root, {"here/photos": OTHER}).find(PHOTOS, None) == "images:photos"
    with pytest.raises(DataUnavailable, match=r"found in none of .*/here/dogs, .*/data/dogs; "):
        Place(root, {}).find("images:dogs", stored(None))


@pytest.mark.parametrize(
    ("dataset", "home", "found"),
    [
        ("images:a/b", "home/a/b", "data/a/b"),
        ("images:a/b", "home/a/b", "data/b"),
        ("images:/elsewhere/b", "elsewhere/b", "data/b"),
        ("images:~/b", "home/b", "data/b"),
        ("images:.", "home/b", "data/b"),
        ("images:../b", "home/b", "data/b"),
    ],
)
def test_below_the_data_root_a_folder_is_found_by_its_path_or_its_name(
    dataset: str, home: str, found: str, root: Path
) -> None:
    place = Place(root, {found: OURS})
    assert place.find(dataset, stored(root / home)) == f"images:/{found}"


def test_the_data_root_itself_is_taken_for_no_folder_of_images(root: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"found in none of .*/home/b, .*/data/b; "):
        Place(root, {"data": OURS}).find("images:.", stored(root / "home" / "b", fingerprint=None))


def test_no_folder_above_the_data_root_is_taken_for_one_below(root: Path) -> None:
    with pytest.raises(DataUnavailable) as refused:
        Place(root, {"photos": OURS}).find("images:../../photos", stored(root / "home" / ".."))
    assert f"found in none of {root}/home/.., {root}/here/../../photos; " in str(refused.value)


@pytest.mark.parametrize(
    "name", ["photos", "photos/", "./photos", "images:photos", "{home}", "images:{home}/"]
)
def test_the_map_knows_a_folder_by_its_name_in_the_spec_and_in_the_storage(
    name: str, root: Path
) -> None:
    home = root / "home" / "photos"
    place = Place(root, {"mapped": OURS})
    assert place.find(PHOTOS, stored(home), {name.format(home=home): "mapped"}) == "images:/mapped"
    with pytest.raises(DataUnavailable):
        place.find(PHOTOS, stored(home), {"others": "mapped"})


def test_a_published_data_set_is_known_by_its_fingerprint_too(root: Path) -> None:
    # The made-up reader looks there.
    place = Place(root, {"here/mnist": OTHER})
    with pytest.raises(
        OtherData,
        match=r"is on other data than mnist \(fingerprint aaaaaaaaaaaa, not bbbbbbbbbbbb\)",
    ):
        place.find("mnist", stored(None))
    assert place.find("mnist", stored(None), accept_data=True) == "mnist"
    assert place.find("mnist", stored(None, OTHER)) == "mnist"


def test_a_folder_whose_name_none_can_have_is_not_there(root: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(DataUnavailable, match="found in none of "):
            Place(root, {}).find(f"images:{name}", stored(root / name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos=/tmp", ("photos", "/tmp")),
        ("lr=0.1/photos=/tmp", ("lr=0.1/photos", "/tmp")),
        ("photos=nowhere", ("photos", "nowhere")),
        ("a=b=nowhere", ("a", "b=nowhere")),
        ("photos", None),
        ("=", None),
        ("=/tmp", None),
        ("photos=", None),
        ("", None),
    ],
)
def test_stored_and_here_are_split_where_here_is_a_folder(
    text: str, expected: tuple[str, str] | None
) -> None:
    assert split_data_map(text) == expected


def test_here_must_be_a_folder(root: Path) -> None:
    (root / "file").touch()
    for here in (str(root / "nowhere"), str(root / "file"), ""):
        with pytest.raises(DataError) as refused:
            read_data_map({"photos": here})
        assert (
            str(refused.value)
            == f"--data-map photos={here}: {here} is no folder; name the one that holds photos on"
            " this machine"
        )
    assert read_data_map({"photos": "../here"}) == {"photos": root / "here"}
