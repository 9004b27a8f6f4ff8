"""The report of a study: one page that says what was measured, where it lies, what it says, and what it does not."""

from correlate.report.page import write_report

__all__ = ["write_report"]
