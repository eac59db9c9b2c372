"""Who should own which partition: balanced, with as few moves as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def assign(owners: Mapping[int, str], shards: Sequence[str], partitions: int) -> dict[int, str]:
    """Return partition → shard for all ``partitions``, each shard with as many as every other, or one more.

    ``owners`` is how it stands now. Nothing moves that need not: an owner keeps its partitions up to its share, and
    the same input gives the same answer. Without shards nobody owns anything.
    """
    if not shards:
        return {}
    kept: dict[str, list[int]] = {shard: [] for shard in sorted(shards)}
    for partition in range(partitions):
        if (owner := owners.get(partition, "")) in kept:
            kept[owner].append(partition)
    share, larger = divmod(partitions, len(kept))
    # The larger shares go to those who own most already, so that they give up least.
    by_size = sorted(kept, key=lambda shard: (-len(kept[shard]), shard))
    shares = {shard: share + (rank < larger) for rank, shard in enumerate(by_size)}
    result = {partition: shard for shard in kept for partition in kept[shard][: shares[shard]]}
    free = (partition for partition in range(partitions) if partition not in result)
    for shard in kept:
        for _ in range(shares[shard] - min(len(kept[shard]), shares[shard])):
            result[next(free)] = shard
    return result
