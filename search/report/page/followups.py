"""What follow-ups have found, where they were run."""

from search.analysis.importance import Bounds
from search.report.page import plots
from search.report.page.facts import AblationFacts, ConfirmationFacts
from search.report.page.parts import PageTable, PageView, Picture


class FollowUpView(PageView):
    """Sections 4 and 5."""

    @property
    def confirmation(self) -> ConfirmationFacts | None:
        return self.facts.confirmation

    @property
    def ablation(self) -> AblationFacts | None:
        return self.facts.ablation

    @property
    def confirmation_picture(self) -> Picture | None:
        if (found := self.confirmation) is None:
            return None
        said = "; ".join(f"{each.label}: mean {each.mean:.4f}" for each in found.trials)
        return self._picture(lambda: plots.confirmation_svg(found), f"Means by trial. {said}.")

    @property
    def confirmation_table(self) -> PageTable | None:
        if (found := self.confirmation) is None:
            return None
        rows = [
            (
                each.label.removeprefix("trial ") + (" (baseline)" if each.is_baseline else ""),
                "" if each.search_value is None else f"{each.search_value:.4f}",
                f"{each.mean:.4f}",
                _shown(each.these_images),
                _shown(each.new_images),
                f"{each.diverged} of {each.diverged + len(each.by_seed)}",
                "may be best" if each.may_be_best else "",
            )
            for each in found.trials
        ]
        header = ("trial", "search", "mean", "these images", "new images", "diverged", "verdict")
        caption = f"Fresh seeds, validation {self.spec.metric}, 95 % intervals for the mean"
        return PageTable(caption, header, rows)

    @property
    def effects_picture(self) -> Picture | None:
        if (found := self.ablation) is None or not found.effects:
            return None
        said = "; ".join(f"{each.technique} {each.effect:+.2f}" for each in found.effects)
        return self._picture(lambda: plots.effects_svg(found), f"Effects in points: {said}.")

    @property
    def effects_table(self) -> PageTable | None:
        if (found := self.ablation) is None:
            return None
        rows = [
            (
                each.technique,
                each.value,
                "used" if each.is_used else "not used",
                f"{each.effect:+.2f}",
                f"{each.interval.low:+.2f} .. {each.interval.high:+.2f}",
                each.verdict,
                str(each.seeds),
            )
            for each in found.effects
        ]
        header = ("technique", "value", "in the trial", "points", "95 %", "verdict", "seeds")
        return PageTable(f"Trial {found.trial} without, or with, each technique", header, rows)


def _shown(interval: Bounds | None) -> str:
    return "-" if interval is None else f"{interval.low:.4f} .. {interval.high:.4f}"
