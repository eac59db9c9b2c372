"""The MQTT interface: a sans-IO codec and state machine, and the asyncio server around them."""
