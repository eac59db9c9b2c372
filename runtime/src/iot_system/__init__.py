"""An actor-based IoT system: every device and every room has an actor."""

__version__ = "0.2.0"
