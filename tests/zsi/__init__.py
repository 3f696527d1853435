"""Tests of zeroshot/zsi."""
