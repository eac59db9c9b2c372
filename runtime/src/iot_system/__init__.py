"""An actor-based IoT system: every device and every room has an actor."""

__version__ = "0.1.0"
