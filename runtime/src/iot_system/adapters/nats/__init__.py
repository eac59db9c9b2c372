"""NATS: the stream of frames and request-reply."""
