"""Typed settings and the contracts that every room shares."""
