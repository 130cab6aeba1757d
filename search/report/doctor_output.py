"""What `doctor` found, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from search.machine.findings import Finding
from search.report.documents import Json


def finding_text(finding: Finding) -> str:
    """One line."""
    mend = "" if finding.mend is None else f": {finding.mend}"
    return f"{'good ' if finding.is_good else 'wrong'}  {finding.part}: {finding.found}{mend}"


def doctor_document(findings: Sequence[Finding]) -> Json:
    """`doctor --json`."""
    return {
        "good": all(finding.is_good for finding in findings),
        "findings": [
            {
                "part": finding.part,
                "good": finding.is_good,
                "found": finding.found,
                "mend": finding.mend,
                "facts": [asdict(facts) for facts in finding.facts],
            }
            for finding in findings
        ],
    }
