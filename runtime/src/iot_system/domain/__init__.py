"""Messages, twins and partitions: frozen values without I/O."""
