"""Devices and rooms: plain objects that hold a state and answer messages with effects."""
