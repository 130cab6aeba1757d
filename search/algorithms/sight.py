"""How much of a large study its sampler looks at."""

from search.spec.study_spec import StudySpec

# Definitions from this version on see some trials; older ones look at all, as they always did.
SEES_SOME = 5
# CMA-ES replays every trial: with some of them it would be another search.
CAN_DO_WITH_SOME = ("tpe", "gp")


def sees_some(spec: StudySpec) -> bool:
    """Whether the sampler looks at storage.sampled_trials alone where there are more."""
    return spec.version >= SEES_SOME and spec.sampler.name in CAN_DO_WITH_SOME
