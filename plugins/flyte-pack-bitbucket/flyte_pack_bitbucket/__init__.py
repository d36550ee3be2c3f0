"""The BitBucket pack of flyte as a plugin of flyte-host."""

from flyte_pack_bitbucket.pack import BitBucketPack
from flyte_pack_bitbucket.settings import BitBucketSettings

__all__ = ["BitBucketPack", "BitBucketSettings"]
