"""Behaviours to use and to learn from; `docs/behaviours.md` says how to write one."""
