"""The REST interface: a Litestar application over the gateway port, and the server that runs it."""
