"""What becomes of applications' messages in one process: who gets which, and from where. No sockets, no NATS."""
