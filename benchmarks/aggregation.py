"""How several benchmarks form their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernoise.experiments.statistics import bootstrap_interval, by_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernoise.experiments.benchmark import Records
    from hypernoise.experiments.statistics import Estimate, Scores


class MeanOfTasks:
    """The overall score is the mean over the tasks, a task's the mean over its images."""

    def scores(self, records: Records) -> Scores:
        """The scores with tasks as strata."""
        return by_task(records)

    def columns(self, records: Records) -> Mapping[str, Estimate]:
        """Each task's mean."""
        return bootstrap_interval(by_task(records)).tasks
