"""The Ticker pack of flyte as a plugin of flyte-host."""

from flyte_pack_ticker.pack import TickerPack, TickerSettings

__all__ = ["TickerPack", "TickerSettings"]
