"""Bundles: frames of some neighbouring partitions in one broker message, because each message costs a sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

BUNDLE_PARTITIONS = 32
"""So many partitions, from a multiple of it on, share bundles. Whoever owns one of them is sent all of theirs."""
BUNDLE_BYTES = 16
"""What a frame in a bundle takes beside its own bytes, at most, and the bundle itself beside its frames."""

encode_bundle: Callable[[Mapping[int, bytes]], bytes] = msgspec.msgpack.Encoder().encode
"""Of partition → frame."""
decode_bundle = msgspec.msgpack.Decoder(dict[int, bytes]).decode
"""Raises `msgspec.MsgspecError` for what is no bundle."""


def bundle_of(partition: int) -> int:
    """The number of the bundles that ``partition`` shares."""
    return partition // BUNDLE_PARTITIONS


def sharing(bundle: int) -> range:
    """The partitions that share a bundle, those beyond the last one included."""
    return range(bundle * BUNDLE_PARTITIONS, (bundle + 1) * BUNDLE_PARTITIONS)
