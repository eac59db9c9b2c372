"""TLS: contexts from files that may change, the door before a server, and what a client's certificate says."""
