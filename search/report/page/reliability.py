"""How far the best model can be believed, and what all good ones miss."""

from search.analysis.by_image import REFUSED, MissedImage
from search.analysis.recalls import wilson_interval
from search.report.page import plots
from search.report.page.by_image import ByImage
from search.report.page.facts import Missing
from search.report.page.parts import Image, PageTable, PageView, Picture, left_out
from search.report.page.plots_by_image import refusal_svg, reliability_svg


class ReliabilityView(PageView):
    """Of sections 2 and 6 what needs the answer for each image."""

    @property
    def by_image(self) -> ByImage | None:
        return None if isinstance(self.facts.by_image, Missing) else self.facts.by_image

    @property
    def missing_by_image(self) -> str:
        found = self.facts.by_image
        return found.reason if isinstance(found, Missing) else ""

    # --- 2: is it enough for me?

    @property
    def reliability_pictures(self) -> list[Picture]:
        if (found := self.by_image) is None:
            return []
        reliability = found.reliability
        last = reliability.refusals[-1]
        return [
            self._picture(
                lambda: reliability_svg(reliability),
                "The share of right answers over their confidence, as in the table; on the dotted"
                " line a network is as right as it says. Expected calibration error:"
                f" {100 * reliability.error:.1f} points.",
            ),
            self._picture(
                lambda: refusal_svg(reliability),
                f"Accuracy is {100 * reliability.refusals[0].accuracy:.1f} % where nothing is"
                f" refused, and {100 * last.accuracy:.1f} % on the others where the least sure half"
                " of the images is.",
            ),
        ]

    @property
    def reliability_table(self) -> PageTable | None:
        if (found := self.by_image) is None:
            return None
        rows = [
            (
                f"{100 * each.low:.0f} .. {100 * each.high:.0f} %",
                f"{each.images:,}",
                f"{100 * each.confidence:.1f} %",
                f"{100 * each.share:.1f} %",
                f"{100 * each.interval.low:.1f} .. {100 * each.interval.high:.1f}",
            )
            for each in reversed(found.reliability.bins)
        ]
        header = ("confidence", "images", "on average", "right", "95 %")
        return PageTable("Calibration: how often it is right where it is so sure", header, rows)

    @property
    def refusal_table(self) -> PageTable | None:
        if (found := self.by_image) is None:
            return None
        rows = []
        for share, each in zip(REFUSED, found.reliability.refusals, strict=True):
            interval = wilson_interval(each.right, each.answered)
            rows.append(
                (
                    f"{100 * share:.0f} %",
                    f"{each.confidence:.3f}",
                    f"{100 * each.accuracy:.1f} %",
                    f"{100 * interval.low:.1f} .. {100 * interval.high:.1f}",
                    f"{each.answered - each.right:,} of {each.answered:,}",
                )
            )
        header = ("refused", "confidence below", "accuracy on the others", "95 %", "wrong")
        return PageTable("What is won by refusing the images it is least sure of", header, rows)

    @property
    def assumed(self) -> str:
        found = self.by_image
        if found is None or not found.reliability.assumed:
            return ""
        return (
            f"Of {found.reliability.assumed:,} wrong answers the confidence is not recorded, and"
            " taken as the highest that it can be: the calibration error may be too high for it,"
            " and the accuracy beside refusals too low."
        )

    # --- 6: mistakes

    @property
    def missed_said(self) -> str:
        found = self.by_image
        if found is None:
            return ""
        if not found.good:
            return "Which images all good models miss is not said: fewer than 3 trials recorded it."
        return (
            f"{found.missed_in_all:,} of {found.images:,} validation images are missed by all of"
            f" the best {len(found.good)} complete trials: they are hard, or labelled wrongly."
        )

    @property
    def missed_images(self) -> list[Image]:
        if (found := self.by_image) is None:
            return []
        images = []
        for each in found.missed:
            if (pixels := found.pixels.get(each.index)) is None:
                continue
            said = self._missed(each, found)
            alternative = (
                f"validation image {each.index}, labelled {found.class_names[each.label]}, taken"
                f" for {found.class_names[each.taken_for]} by {each.by} of {len(found.good)} trials"
            )
            images.append(Image(*plots.images_png(pixels[None]), alternative, said))
        return images

    @property
    def missed_table(self) -> PageTable | None:
        """Where no image of them is to be had."""
        if (found := self.by_image) is None or not found.missed or found.pixels:
            return None
        rows = [
            (
                str(each.index),
                found.class_names[each.label],
                found.class_names[each.taken_for],
                f"{each.by} of {len(found.good)}",
                f"{100 * each.probability:.1f} %",
            )
            for each in found.missed
        ]
        header = ("image", "labelled", "taken for", "by", "given its label")
        return PageTable("Images that all good models miss, by place in the split", header, rows)

    @property
    def missed_left_out(self) -> str:
        found = self.by_image
        return "" if found is None else left_out(found.missed_in_all - len(found.missed), "others")

    def _missed(self, each: MissedImage, found: ByImage) -> str:
        label, other = found.class_names[each.label], found.class_names[each.taken_for]
        return f"{label} → {other} ({each.by} of {len(found.good)})"
