"""The broker of applications' topics on JetStream."""
