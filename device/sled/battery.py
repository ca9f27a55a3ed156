"""How full a lithium-ion cell is, by its voltage. It sags under load, so this is a rough answer, and is used as one."""

# Millivolts at rest, and percent: the usual discharge curve of a 4.2 V cell at room temperature.
_CURVE = ((3300, 0), (3600, 5), (3690, 10), (3750, 25), (3840, 50), (3980, 75), (4100, 90), (4200, 100))
PLAUSIBLE_MV = (2500, 4500)  # Below, the cell's own protection has cut it off; above, nothing is wired to the pin.


def percent(millivolts: int) -> int:
    """0..100, in straight lines between the points of the curve."""
    below_mv, below = _CURVE[0]
    if millivolts <= below_mv:
        return 0
    for above_mv, above in _CURVE[1:]:
        if millivolts < above_mv:
            return below + (above - below) * (millivolts - below_mv) // (above_mv - below_mv)
        below_mv, below = above_mv, above
    return 100


def plausible(millivolts: int | None) -> int | None:
    """The same, or None when no cell has such a voltage."""
    if millivolts is None or not PLAUSIBLE_MV[0] <= millivolts <= PLAUSIBLE_MV[1]:
        return None
    return millivolts
