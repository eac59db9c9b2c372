"""What is measured against each other: each side takes the same messages from a device to committed rows."""
