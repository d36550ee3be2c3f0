"""Nothing but a name: whatever depends on this distribution has every pack of flyte-host."""
