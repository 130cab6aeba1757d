"""What the best trial's model gets right and wrong, on which data, and what it costs."""

from collections.abc import Sequence

from objectives.architecture import architecture
from objectives.costs import counted_costs, shown_cost
from search.analysis.data_sets import ranges
from search.analysis.recalls import confusions, recalls
from search.report.page import plots
from search.report.page.facts import ClassShown, Examined, Missing, matrix_of
from search.report.page.parts import MOST_ROWS, Image, PageTable, PageView, left_out
from search.space.configuration import Configuration
from search.space.parameters import is_on
from search.spec.follow_up import BACKBONE
from storage.records import TrialRecord

# Samples and a matrix of no more classes are shown.
MOST_CLASSES = 20
MOST_MISTAKES = 24


class ModelView(PageView):
    """Sections 2, 3, 6 and 10."""

    # --- 2 and 6: what the best model gets right and wrong

    @property
    def missing_examination(self) -> str:
        found = self.facts.examined
        return found.reason if isinstance(found, Missing) else ""

    @property
    def whose(self) -> str:
        """Whose answers the sections are about, as a sentence; "" where there are none."""
        best = self.comparison.incumbent
        if best is None or self._confusion is None:
            return ""
        said = f"Of trial {best.number}, the best of the search, on the validation images that it"
        said += " was chosen by: expect somewhat less on new ones."
        confirmed = self.facts.confirmation
        if confirmed is not None and confirmed.choice != best.number:
            said += f" The choice, trial {confirmed.choice}, is another one."
        return said

    @property
    def _confusion(self) -> tuple[Sequence[Sequence[int]], Sequence[str]] | None:
        """The best trial's confusion matrix, with the names of the classes."""
        found, by_image = self.facts.examined, self.facts.by_image
        if isinstance(found, Examined):
            return matrix_of(found), found.class_names
        if isinstance(by_image, Missing):
            return None
        return by_image.confusion, by_image.class_names

    @property
    def recall_table(self) -> PageTable | None:
        if (found := self._confusion) is None:
            return None
        worst_first = recalls(*found)
        rows = [
            (
                each.name,
                f"{100 * each.share:.1f} %",
                f"{100 * each.interval.low:.1f} .. {100 * each.interval.high:.1f}",
                f"{each.right:,} of {each.images:,}",
            )
            for each in worst_first[:MOST_ROWS]
        ]
        rest = left_out(len(worst_first) - len(rows), "better classes")
        header = ("class", "recall", "95 %", "right")
        return PageTable(
            "Recall by class on validation images, the worst first", header, rows, rest
        )

    @property
    def confusion_table(self) -> PageTable | None:
        if (found := self._confusion) is None or len(found[1]) > MOST_CLASSES:
            return None
        matrix, names = found
        rows = [
            (name, *(f"{each:,}" for each in row)) for name, row in zip(names, matrix, strict=True)
        ]
        header = ("true class", *names)
        return PageTable(
            "Confusion matrix: rows are true classes, columns predicted ones", header, rows
        )

    @property
    def confused_table(self) -> PageTable | None:
        if (found := self._confusion) is None:
            return None
        pairs = confusions(*found)
        rows = [(each.true, each.predicted, f"{each.images:,}") for each in pairs[:MOST_ROWS]]
        rest = left_out(len(pairs) - len(rows), "rarer pairs")
        return PageTable("What is taken for what", ("true", "predicted", "images"), rows, rest)

    @property
    def mistakes(self) -> list[Image]:
        if not isinstance(found := self.facts.examined, Examined):
            return []
        images = []
        for wrong in found.examination.wrong[:MOST_MISTAKES]:
            true, predicted = found.class_names[wrong.true], found.class_names[wrong.predicted]
            said = f"{true} → {predicted} ({wrong.confidence:.0%})"
            alternative = (
                f"validation image {wrong.index}, labelled {true}, predicted {predicted} with"
                f" {wrong.confidence:.0%}"
            )
            images.append(Image(*plots.images_png(wrong.pixels[None]), alternative, said))
        return images

    # --- 3: data

    @property
    def missing_data(self) -> str:
        found = self.facts.data
        return found.reason if isinstance(found, Missing) else ""

    @property
    def class_table(self) -> PageTable | None:
        if isinstance(found := self.facts.data, Missing):
            return None
        rows = [(each.name, f"{each.train:,}", f"{each.validation:,}") for each in found]
        total = (
            f"all {len(found)} classes",
            f"{sum(each.train for each in found):,}",
            f"{sum(each.validation for each in found):,}",
        )
        rest = left_out(len(rows) - MOST_ROWS, "classes")
        header = ("class", "training", "validation")
        return PageTable("Images by class and split", header, [total, *rows[:MOST_ROWS]], rest)

    @property
    def samples(self) -> list[tuple[str, Image]]:
        if isinstance(found := self.facts.data, Missing):
            return []
        return [(each.name, _sample(each)) for each in found[:MOST_CLASSES] if len(each.samples)]

    @property
    def fingerprints(self) -> PageTable | None:
        found = [(each, numbers) for each, numbers in self.comparison.data_sets if each is not None]
        if not found:
            return None
        rows = [(each, ranges(numbers)) for each, numbers in found]
        caption = "Fingerprints of the data (SHA-256), and the trials that were trained on it"
        return PageTable(caption, ("fingerprint", "trials"), rows)

    @property
    def is_on_several(self) -> bool:
        return len({each for each, _ in self.comparison.data_sets if each is not None}) > 1

    # --- 10: the model

    @property
    def model(self) -> list[tuple[str, str]]:
        best = self.comparison.incumbent
        if best is None:
            return []
        facts = [("trial", str(best.number)), *self._network(best)]
        if self.facts.model_bytes is not None:
            facts.append(("file", f"{self.facts.model_bytes:,} bytes (safetensors)"))
        facts += [
            (f"recorded {name}", shown_cost(cost))
            for name, cost in zip(self.spec.minimize, best.costs, strict=False)
        ]
        if "latency" not in self.spec.minimize:
            facts.append(("latency", 'not measured: minimize = ["latency"] records it'))
        if best.epochs:
            gap = best.epochs[-1].generalization_gap
            facts.append(
                (
                    "validation loss less training loss",
                    "not recorded" if gap is None else f"{gap:.4f} nats an image",
                )
            )
        facts.append(("ONNX", "not exported"))
        return facts

    def _network(self, best: TrialRecord) -> list[tuple[str, str]]:
        if isinstance(found := self.facts.data, Missing) or not len(found[0].samples):
            return [("parameters", "not known without the images' size")]
        shape = found[0].samples.shape[1:]
        values = {name: value for name, value in best.parameters.items() if value is not None}
        if BACKBONE in values:
            return [("parameters", f"those of {values[BACKBONE]}, which is not trained here")]
        options = Configuration(values).hyperparameters()
        network = architecture(
            self.spec.model,
            shape[1:],
            width=options.width,
            depth=options.depth,
            block=options.block,
            head=options.head,
        )
        costs = counted_costs(
            shape,
            len(found),
            network,
            normalized=is_on("normalization", best.parameters.get("normalization")),
        )
        return [
            ("parameters", f"{costs['parameters']:,}"),
            ("multiply-accumulates an image", f"{costs['macs']:,}"),
        ]


def _sample(each: ClassShown) -> Image:
    source, width, height = plots.images_png(each.samples)
    return Image(source, width, height, f"{len(each.samples)} training images of class {each.name}")
