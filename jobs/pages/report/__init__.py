"""`report.html` of a run: what it read, its gates, how good it is, what it published, what it cost, what changed."""

from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.page import digest_in, report_page

__all__ = ["Known", "RunDocuments", "digest_in", "report_page"]
