"""The stage dump_features with small shards, as a program of its own, so that a few images fill several."""

from stages import dump_features
from zeroshot.base import command_line
from zeroshot.cache import shard_plan

if __name__ == "__main__":
    shard_plan.MIB = 1000
    command_line.run(dump_features.main, shared=True)
