"""Judging final lists."""
