"""A spec is read from whatever file holds one, and from no other."""

import codecs
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from search.spec.document import LARGEST_BYTES, SpecError, load_document

SPEC = '[study]\nname = "s"\n'
READ = {"study": {"name": "s"}}
NO_TEXT = "is no text in UTF-8: save it as such"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8])
def test_a_spec_is_read_with_and_without_a_byte_order_mark(
    before: bytes, end: bytes, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_bytes(before + SPEC.encode().replace(b"\n", end))
    assert load_document(tmp_path / "s.toml") == READ


def test_a_spec_is_read_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.toml")
    writer = threading.Thread(target=(tmp_path / "s.toml").write_text, args=(SPEC,))
    writer.start()
    assert load_document(tmp_path / "s.toml") == READ
    writer.join()


def test_a_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    assert load_document(Path("-")) == READ
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x =")))
    with pytest.raises(SpecError, match=r"^standard input: is no TOML: Invalid value"):
        load_document(Path("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(
        SpecError, match=r"^standard input: cannot be read \(it is closed\): name another file$"
    ):
        load_document(Path("-"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_text_in_another_encoding_is_told(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f"{SPEC}# Käfer\n", encoding=encoding)
    with pytest.raises(SpecError) as refused:
        load_document(tmp_path / "s.toml")
    assert refused.value.faults == (NO_TEXT,)


def test_what_is_no_file_of_a_spec_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(2**40)
    faults = {
        tmp_path: "cannot be read (Is a directory): name another file",
        tmp_path / "loop.toml": (
            "cannot be read (Too many levels of symbolic links): name another file"
        ),
        tmp_path / "large.toml" / "x": "cannot be read (Not a directory): name another file",
        tmp_path / ("a" * 300): "cannot be read (File name too long): name another file",
        tmp_path / "a\nb": "no such file: 'hypersearch spec init FILE' writes one to start from",
        tmp_path / "large.toml": (
            f"is larger than {LARGEST_BYTES // 2**20} MiB, as no spec is: name another file"
        ),
        Path(
            "/dev/zero"
        ): f"is larger than {LARGEST_BYTES // 2**20} MiB, as no spec is: name another file",
    }
    for path, fault in faults.items():
        with pytest.raises(SpecError) as refused:
            load_document(path)
        assert str(refused.value) == f"{str(path).replace(chr(10), chr(92) + 'n')}: {fault}"
