"""nbgrader's own ``collect``, in the terminal and behind formgrader's button, made safe."""

from __future__ import annotations

import re
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.exchange.default import ExchangeCollect

from autograder.course.gradebook.collect import Wanted, collect


class SafeCollect(ExchangeCollect):
    """Checks owners, follows no link, limits sizes. All options of nbgrader's own work."""

    def init_src(self):
        """Find the folder of the exchange; which submissions are meant is told by ``copy_files``."""
        if not self.coursedir.course_id:
            self.fail("No course id specified. Re-run with --course flag.")
        self.inbound_path = str(Path(self.root) / self.coursedir.course_id / "inbound")

    def copy_files(self):
        """Copy submissions, and say of each what became of it."""
        wanted = Wanted(self._student(), self.update, self._due() if self.before_duedate else None, self.check_owner)
        submitted = Path(self.coursedir.root) / self.coursedir.submitted_directory
        for one in collect(Path(self.inbound_path), submitted, self.coursedir.assignment_id, wanted):
            tell = self.log.warning if one.problem or one.notes else self.log.info
            tell("%s: %s", one.student, " ".join([one.problem or "Collected.", *one.notes]))

    def _student(self) -> str:
        student = self.coursedir.student_id
        return "" if re.fullmatch(r"\**", student) else student

    def _due(self):
        with Gradebook(self.coursedir.db_url, self.coursedir.course_id) as gradebook:
            try:
                return gradebook.find_assignment(self.coursedir.assignment_id).duedate
            except MissingEntry:
                return None
