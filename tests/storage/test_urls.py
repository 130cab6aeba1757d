"""A storage URL names exactly the database that whoever wrote it means, or is refused in one
line.
"""

from pathlib import Path

import pytest

from lab.servers import free_port
from storage.engine import open_database, open_for_work, upgrade_database
from storage.errors import StorageUnavailable, StorageURLError
from storage.urls import parse_url, shown_url, sqlite_path

NAMES = (
    "a?b.db",
    "100%.db",
    "a%20b.db",
    "two words.db",
    "{x}.db",
    "a#b.db",
    "it's $HOME.db",
    "Фото.db",
    "~a.db",
    "a\\b",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_named_by_the_url_that_is_shown(name: str, tmp_path: Path) -> None:
    url = parse_url(f"sqlite:///{tmp_path}/{name.replace('%', '%25').replace('?', '%3F')}")
    assert sqlite_path(url) == tmp_path / name
    assert parse_url(shown_url(url)) == url
    # A shell takes the name as it stands.
    assert not set(shown_url(url)) & set(" '\"$\\")


def test_a_file_is_made_under_exactly_its_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/it's {{x}} 100%25%3F.db"
    # Optuna runs its URL through str.format.
    open_for_work(url)[0].engine.dispose()
    assert {path.name for path in tmp_path.iterdir() if path.suffix == ".db"} == {
        "it's {x} 100%?.db"
    }
    open_database(shown_url(parse_url(url))).engine.dispose()


@pytest.mark.parametrize(
    "text", ["sqlite:///x.db\r", "sqlite:///x.db\r\n", " sqlite:///x.db\t", "\nsqlite:///x.db "]
)
def test_blanks_around_a_url_are_no_part_of_it(text: str) -> None:
    assert sqlite_path(parse_url(text)) == Path.cwd() / "x.db"


OPTIONS = "has a '?': a file takes no options, and a '?' in its name is written %3F"
UNPRINTABLE = (
    "holds a control character, or bytes that are no UTF-8, as such or as %XX: leave them out"
)
HOST = (
    "names a host, not a file: write sqlite:///FILE.db, with three slashes, or four before a path"
    " from the root"
)
HOME = (
    "begins with '~', which is nobody's home in a URL: write the whole path, as"
    " sqlite:////home/me/hypersearch.db, or ./~ for a folder of that name"
)
AT = "has more than one '@': write those of a name or password as %40"
FORMS = (
    "cannot be read: write it like sqlite:///FILE.db, postgresql://USER@HOST/NAME or"
    " mysql://USER@HOST/NAME"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sqlite:///a?b.db", f"storage 'sqlite:///a?b.db' {OPTIONS}"),
        ("sqlite:///a?mode=ro", f"storage 'sqlite:///a?mode=ro' {OPTIONS}"),
        ("sqlite:///file:a?uri=true", f"storage 'sqlite:///file:a?uri=true' {OPTIONS}"),
        ("sqlite:///a.db?", f"storage 'sqlite:///a.db?' {OPTIONS}"),
        ("sqlite:///a\nb.db", f"storage URL 'sqlite:///a\\nb.db' {UNPRINTABLE}"),
        ("sqlite:///a%0Db.db", f"storage URL 'sqlite:///a%0Db.db' {UNPRINTABLE}"),
        ("sqlite:///a%00b.db", f"storage URL 'sqlite:///a%00b.db' {UNPRINTABLE}"),
        ("sqlite:///a\0b.db", f"storage URL 'sqlite:///a\\x00b.db' {UNPRINTABLE}"),
        ("sqlite:///%ff.db", f"storage URL 'sqlite:///%ff.db' {UNPRINTABLE}"),
        ("sqlite:///\udcff.db", f"storage URL 'sqlite:///\\udcff.db' {UNPRINTABLE}"),
        ("sqlite://a.db", f"storage 'sqlite://a.db' {HOST}"),
        ("sqlite://me:hush@h:1/a.db", f"storage 'sqlite://***@h:1/a.db' {HOST}"),
        ("sqlite:///~/a.db", f"storage sqlite:///~/a.db {HOME}"),
        ("sqlite:///~me/a.db", f"storage sqlite:///~me/a.db {HOME}"),
        (
            "sqlite:///a.db/",
            (
                "storage sqlite:///a.db/ is no file (it ends with '/', as a folder): name one, as"
                " sqlite:///hypersearch.db"
            ),
        ),
        ("postgresql://me:hu\nsh@h/d", f"storage URL 'postgresql://***@h/d' {UNPRINTABLE}"),
        ("postgresql://me:hu%00sh@h/d", f"storage URL 'postgresql://***@h/d' {UNPRINTABLE}"),
        ("mysql://h/d?password=hu%0Ash", f"storage URL 'mysql://h/d' {UNPRINTABLE}"),
        ("postgresql://me:hu@sh@h/d", f"storage URL 'postgresql://***@h/d' {AT}"),
        ("mysql://m/e:hush@h/d", f"storage URL 'mysql://***@h/d' {AT}"),
        ("postgresql://me:hu/sh@h:x/d", f"storage URL 'postgresql://***@h:x/d' {FORMS}"),
        ("mysql://h:65536/d", f"storage URL 'mysql://h:65536/d' {FORMS}"),
        ("nonsense?password=hush", f"storage URL 'nonsense' {FORMS}"),
    ],
)
def test_a_url_that_would_name_another_database_is_refused(text: str, told: str) -> None:
    with pytest.raises(StorageURLError) as refused:
        parse_url(text)
    assert str(refused.value) == told


def test_what_is_no_file_is_refused_and_nothing_is_made_beside_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    long = "a" * 300
    refusals = {
        "folder": (
            f"is no file ({tmp_path}/folder is a folder or a device): name one, as"
            " sqlite:///hypersearch.db"
        ),
        long: (
            "is no file (its name is longer than the system allows): name one, as"
            " sqlite:///hypersearch.db"
        ),
    }
    for open_it in (open_database, open_for_work, upgrade_database):
        for name, told in refusals.items():
            with pytest.raises(StorageURLError) as refused:
                open_it(f"sqlite:///{tmp_path}/{name}")
            assert str(refused.value) == f"storage sqlite:///{tmp_path}/{name} {told}"
        with pytest.raises(StorageUnavailable) as unavailable:
            open_it(f"sqlite:///{tmp_path}/file/a.db")
        assert (
            str(unavailable.value)
            == f"{tmp_path}/file, where the database should lie, is no folder: name another with"
            " --storage"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        ("mysql", "127.0.0.1:{port}/d?no_such_option=1"),
        ("mysql", "127.0.0.1:{port}/d?read_timeout=soon"),
        ("mysql", "127.0.0.1:{port}/d?charset=nonsense"),
        ("mysql", "a..b/d"),
        ("postgresql", "h1/d?host=h2:x&host=h3"),
        ("postgresql", "a..b/d"),
    ],
)
def test_what_a_driver_does_not_understand_is_told_without_the_password(
    scheme: str, rest: str
) -> None:
    url = f"{scheme}://me:hush@{rest.format(port=free_port())}"
    for open_it in (open_database, open_for_work, upgrade_database):
        with pytest.raises(StorageURLError) as refused:
            open_it(url)
        told = str(refused.value)
        assert told.startswith(
            f"storage {shown_url(parse_url(url))} is not understood by its driver ("
        )
        assert told.endswith("): see its host, port and options")
        assert ("\n" in told, "hush" in told) == (False, False)
