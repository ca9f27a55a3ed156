"""The collector's screens: pages on the loopback address, made by this machine alone."""
