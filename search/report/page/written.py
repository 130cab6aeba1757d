"""The report page of studies in a storage: read, then written."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from search.machine.folders import FolderUnknown
from search.machine.settings import Settings
from search.report.page.answered import confirmation_shown, last_ablation
from search.report.page.facts import StudyFacts, read_study_facts
from search.report.page.render import report_page
from storage.engine import Database
from storage.follow_ups import read_follow_ups


def read_page(
    database: Database,
    names: Sequence[str],
    settings: Settings,
    storage_url: str,
    artifact_root: str | None = None,
) -> str:
    """The page on these studies, as HTML. Raises StudyNotFound, ForeignStudy."""
    try:
        root = settings.files(storage_url, artifact_root).artifact_root
    # No artifact was ever kept there.
    except FolderUnknown:
        root = None
    facts = [
        _answered(
            database,
            read_study_facts(database, name, artifact_root=root, cache_root=settings.cache_root),
        )
        for name in names
    ]
    return report_page(facts, datetime.now(UTC), _own_version())


def _answered(database: Database, facts: StudyFacts) -> StudyFacts:
    """With what was confirmed and ablated."""
    follow_ups = read_follow_ups(database, facts.comparison.record.stored)
    return replace(
        facts,
        confirmation=confirmation_shown(database, facts.comparison.record.stored),
        ablation=last_ablation(database, follow_ups),
    )


def _own_version() -> str:
    try:
        return version("hypersearch")
    except PackageNotFoundError:
        return "of a checkout"
