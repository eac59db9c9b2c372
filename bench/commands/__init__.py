"""Commands: from a REST request by MQTT to a device and back, against the sum of the bare hops that this takes."""
