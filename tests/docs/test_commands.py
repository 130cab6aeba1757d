"""Every command that the documents show works: each is run, or listed here with the reason why
not.
"""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.reference import pages
from lab.servers import Server
from tests.forked import hypersearch

ROOT = Path(__file__).parents[2]
GENERATED = {ROOT / "docs" / name for name in pages()}
DOCUMENTS = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - GENERATED)]

NOT_RUN = {
    "make demo": "installs several GB and trains for minutes: benchmarks.wall_time does it",
    "make test": "runs these tests",
    "python -m venv .venv": "an environment without packages",
    ".venv/bin/pip install -e .": "installs several GB",
    ".venv/bin/pip install -e '.[onnx]'": "installs several GB",
    "pip install 'hypersearch[postgresql]'": "installs from a package index",
    "pip install 'hypersearch[ray,postgresql]'": "installs from a package index",
    "ray start --head": "a cluster of its own: tests/search/engines/cluster/test_ray.py has one",
    "ray start --address HEAD:6379": "the same",
    "hypersearch run my.toml --engine ray --workers 16 --gpus-per-worker 0.5 --ship-data": (
        "the same"
    ),
    "hypersearch worker --engine ray --workers auto --forever": "the same",
    "python -m benchmarks.gpu all --out DIR --seconds 480": (
        "needs a GPU: test_gpu.py does it in small"
    ),
    "PYTHONPATH=/tmp/site python3 -m benchmarks.gpu all --out DIR": (
        "the same, with packages of another place"
    ),
    "python3 -m pip install --quiet --no-index --no-deps --no-compile --target /tmp/site"
    " .wheels/*.whl": ("installs wheels of another Python"),
}
SMALL = "--trials 2 --epochs 1 --threads 1 --set model.channels=[4] --set model.hidden_units=8"
INSTEAD = {
    ".venv/bin/hypersearch run examples/demo.toml": f"hypersearch run examples/demo.toml {SMALL}",
    "hypersearch run --dataset images:flowers --set data.image_size=32 --trials 20": (
        f"hypersearch run --dataset images:flowers --set data.image_size=32 {SMALL}"
    ),
    "hypersearch run --dataset images:flowers --study flowers --set data.image_size=32 --trials 3"
    " --epochs 2": (
        f"hypersearch run --dataset images:flowers --study flowers --set data.image_size=32 {SMALL}"
    ),
    "hypersearch run flowers.toml": (
        "hypersearch run flowers.toml --study flowers --dataset images:flowers"
        f" --set data.image_size=32 {SMALL}"
    ),
    "hypersearch confirm flowers": "hypersearch confirm flowers --seeds 2 --top 1 --threads 1",
    "hypersearch predict flowers-model new-photos --unsure 0.8 --csv > answers.csv": (
        "hypersearch predict flowers-model new-photos --unsure 0.8 --csv"
    ),
    "hypersearch confirm demo": "hypersearch confirm demo --seeds 2 --top 1 --threads 1",
    "hypersearch ablate demo": (
        "hypersearch ablate demo --seeds 2 --no-retune --technique augmentation --threads 1"
    ),
    "hypersearch reproduce demo 3": "hypersearch reproduce demo 0 --threads 1",
    "hypersearch predict demo-model scans/": "hypersearch predict demo-model flowers",
    "hypersearch run my.toml --workers 4": "hypersearch run my.toml --workers 2",
    "hypersearch worker --workers 4": "hypersearch worker --workers 2",
    "hypersearch worker --workers 2 --forever": "hypersearch worker --workers 2",
    "export HYPERSEARCH_STORAGE=postgresql://me@db.example/search": (
        'export HYPERSEARCH_STORAGE="$A_SERVER"'
    ),
}


def commands(document: Path) -> list[str]:
    """What stands behind a $ in its console blocks, without comments."""
    blocks = re.findall(
        r"^```console\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    lines = [line for block in blocks for line in block.splitlines()]
    return [
        re.sub(r"\s+# .*", "", line.removeprefix("$ ")) for line in lines if line.startswith("$ ")
    ]


SHOWN = {document: found for document in DOCUMENTS if (found := commands(document))}


def flowers(folder: Path) -> None:
    random = np.random.default_rng(0)
    for place, name in enumerate(("daisy", "rose")):
        (folder / name).mkdir(parents=True)
        for number in range(15):
            pixels = random.integers(100 * place, 100 * place + 80, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture
def user(tmp_path: Path, mnist_5k_cache: Path, postgresql: Server) -> dict[str, str]:
    """The environment of a user who has what the documents speak of: images, a spec, the examples,
    a server.
    """
    work = tmp_path / "work"
    flowers(work / "flowers")
    shutil.copytree(work / "flowers" / "rose", work / "new-photos")
    (work / "examples").symlink_to(ROOT / "examples")
    (work / "my.toml").write_text(
        '[study]\nname = "my-study"\ntrials = 3\n[data]\ndataset = "synthetic"\n'
    )
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    return {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "A_SERVER": postgresql.database(f"docs_{tmp_path.name[-20:].lower()}"),
    }


@pytest.mark.long
@pytest.mark.parametrize("document", SHOWN, ids=lambda path: path.stem)
def test_the_commands_of_a_document_work_in_their_order(
    document: Path, tmp_path: Path, user: dict[str, str]
) -> None:
    for command in (
        INSTEAD.get(command, command) for command in SHOWN[document] if command not in NOT_RUN
    ):
        program, *arguments = shlex.split(command)
        if program == "export":
            name, _, value = arguments[0].partition("=")
            user[name] = user.get(value.removeprefix("$"), value)
            continue
        assert program == "hypersearch", f"{command}: list it in {Path(__file__).name}"
        ended = hypersearch(tmp_path / "work", *arguments, **user)
        assert ended.returncode == 0, (
            f"{ended.stderr}\nmend the command, or list it in {Path(__file__).name}"
        )


def test_what_is_listed_here_stands_in_a_document() -> None:
    shown = {command for found in SHOWN.values() for command in found}
    assert not (NOT_RUN.keys() | INSTEAD.keys()) - shown
    assert len(shown) > 15


def test_what_the_prose_names_is_in_the_reference() -> None:
    reference = pages()["commands.md"]
    for document in DOCUMENTS:
        text = re.sub(
            r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        assert not re.findall(r"^ {4}hypersearch .*", text, re.MULTILINE), (
            "commands stand in console blocks"
        )
        for line in re.findall(r"`hypersearch ([^`]+)`", text):
            words = line.split()
            command = " ".join(words[:2]) if words[0] == "spec" else words[0]
            if not command.startswith("-"):
                assert f"\n## hypersearch {command.rstrip(',')}\n" in reference, line
            assert all(f"`{word}`" in reference for word in words if word.startswith("--")), line
