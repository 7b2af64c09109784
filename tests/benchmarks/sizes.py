"""How much is measured: `full` for the record, `small` for a quick look."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Size:
    """Counts, and for the time factor how many times the vendors' minutes are shrunk."""

    name: str
    factor: float
    idle: int
    bursts: tuple[int, ...]
    payments: int
    rival: int
    rival_deals: int
    slice_seconds: float
    slices: int
    finished: tuple[int, int]
    rounds: int

    def at(self, factor: float) -> "Size":
        """The same with another time factor."""
        return replace(self, factor=factor)


SIZES = {
    "full": Size(
        name="full",
        factor=6,  # our own work is not shrunk: at ten, a batch's calls took less time than its rows
        idle=50,
        bursts=(200, 1000),
        payments=1000,
        rival=1000,
        rival_deals=10,
        slice_seconds=3,
        slices=10,
        finished=(1_000, 1_000_000),
        rounds=500,
    ),
    "small": Size(
        name="small",
        factor=10,
        idle=5,
        bursts=(60,),
        payments=60,
        rival=80,
        rival_deals=3,
        slice_seconds=1,
        slices=3,
        finished=(1_000, 20_000),
        rounds=100,
    ),
}
