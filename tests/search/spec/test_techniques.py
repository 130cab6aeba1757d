"""Every technique is described, whatever is added."""

import json

import pytest

from search.cli.main import app
from search.space.parameters import PARAMETERS, TECHNIQUES
from search.spec.techniques import techniques


def test_every_technique_and_every_option_is_described_and_nothing_else() -> None:
    found = {technique.name: technique for technique in techniques()}
    assert tuple(found) == TECHNIQUES
    for name, technique in found.items():
        described = [option.name for option in technique.options]
        options = PARAMETERS[name].options if name in PARAMETERS else ()
        if name == "augmentation":
            options = tuple(option for option in options if "+" not in option)
        assert described == list(options) or not options
        assert technique.parameters
        assert all(option.formula and option.source for option in technique.options)


def test_the_command_prints_them_for_people_and_for_scripts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app(["techniques"], standalone_mode=False)
    text = capsys.readouterr().out
    for parameter in PARAMETERS.values():
        assert f"    {parameter.name} " in text
    app(["techniques", "--json"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert [entry["technique"] for entry in document] == list(TECHNIQUES)
    assert {row["name"] for entry in document for row in entry["hyperparameters"]} == set(
        PARAMETERS
    )
    app(["techniques", "dropout"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("dropout: ")
