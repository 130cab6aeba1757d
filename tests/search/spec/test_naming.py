"""The name of a study that was given none is valid, readable, the same each time, and one folder's
alone.
"""

from pathlib import Path

import pytest

from search.spec.document import SpecError
from search.spec.naming import default_name
from search.spec.request import Request
from search.spec.study_spec import NAME_PATTERN


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "digits-default"),
        ("images:flowers", "flowers-default"),
        ("images:/data/flowers/", "flowers-default"),
        ("images:~/2024.jpgs_", "2024.jpgs_-default"),
        ("images:con", "con-default"),
        ("images:my photos", "my-photos-d3522f7d-default"),
        ("images:Grüne Äpfel", "Grune-Apfel-6fb3aeeb-default"),
        ("images:Фото", "images-45c2f1fa-default"),
        ("images:котики 2024", "2024-4e9b9c42-default"),
        ("images:🐱", "images-46eeaf23-default"),
        ("images:C:\\pics\\cats", "cats-d5f69a84-default"),
        ("images:.hidden", "hidden-16924190-default"),
        ("images:/", "images-e3b0c442-default"),
        (f"images:{'a' * 56}", f"{'a' * 56}-default"),
        (f"images:{'a' * 57}", f"{'a' * 47}-f13b2d72-default"),
    ],
)
def test_a_folder_gives_its_study_a_name(dataset: str, name: str) -> None:
    assert NAME_PATTERN.fullmatch(name)
    assert default_name(dataset) == name
    assert Request(None, {"data": {"dataset": dataset}}, "test").spec().name == name


@pytest.mark.parametrize("path", [".", "./", "..", "../.", "rose/..", "../flowers/."])
def test_a_path_that_names_nothing_is_named_by_the_folder_that_it_leads_to(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flowers" / "rose").mkdir(parents=True)
    above = path in ("..", "../.")
    monkeypatch.chdir(tmp_path / "flowers" / ("rose" if above else "."))
    assert default_name(f"images:{path}") == "flowers-default"


def test_the_home_gives_the_name_of_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert default_name("images:~") == "me-default"


def test_folders_whose_names_look_the_same_are_told_apart() -> None:
    folders = ("a b", "a-b", "a  b", "a/b/a b ", "ä b", "a b!", "a" * 60, "a" * 61, "x\\a b")
    assert len({default_name(f"images:{folder}") for folder in folders}) == len(folders)


@pytest.mark.parametrize("dataset", ["images:", "no such set"])
def test_what_is_wrong_with_the_data_set_is_told_without_a_word_about_the_name(
    dataset: str,
) -> None:
    with pytest.raises(SpecError) as refused:
        Request(None, {"data": {"dataset": dataset}}, "test").spec()
    assert [fault.partition(" = ")[0] for fault in refused.value.faults] == ["data.dataset"]
