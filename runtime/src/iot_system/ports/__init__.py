"""What services need from the world outside: protocols, implemented in `iot_system.adapters`."""
