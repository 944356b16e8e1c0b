"""A finished project, made as for the other tests of the page."""

from __future__ import annotations

from tests.report.conftest import answers, whole_project

__all__ = ["answers", "whole_project"]
