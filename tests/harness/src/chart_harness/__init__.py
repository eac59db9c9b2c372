"""Tests of Helm charts: rendered by rules, installed in real clusters, and broken there on purpose. See the README."""
