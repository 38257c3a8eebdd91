"""Figures of one contestant in one discipline, and what is said of them."""
import dataclasses
import math


@dataclasses.dataclass
class Series:
    discipline: str
    contestant: str
    unit: str
    values: list = dataclasses.field(default_factory=list)
    # What has to be known beside the figures, such as bytes that were lost.
    note: str = ""

    @property
    def median(self):
        ordered = sorted(self.values)
        if not ordered:
            return math.nan
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

    def rank(self, share):
        """Nearest rank: a value that was measured. Nothing is trimmed."""
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan

    @property
    def document(self):
        return {
            "discipline": self.discipline, "contestant": self.contestant, "unit": self.unit,
            "count": len(self.values), "median": finite(self.median), "p50": finite(self.rank(0.5)),
            "p99": finite(self.rank(0.99)), "note": self.note,
        }


@dataclasses.dataclass
class Target:
    name: str
    measured: float
    limit: float
    unit: str
    # Whether the limit is the least that is wanted; else it is the most.
    is_floor: bool = False

    @property
    def is_met(self):
        """None when it could not be measured here."""
        if math.isnan(self.measured) or math.isnan(self.limit):
            return None
        return self.measured >= self.limit if self.is_floor else self.measured <= self.limit

    @property
    def document(self):
        return {
            "name": self.name, "measured": finite(self.measured), "limit": finite(self.limit), "unit": self.unit,
            "at_least": self.is_floor, "met": self.is_met,
        }


def finite(value):
    return value if math.isfinite(value) else None


def alternate(contestants, rounds, measure):
    """One after the other, and that again and again: what changes on the machine meanwhile meets all of them."""
    for _ in range(rounds):
        for contestant in contestants:
            measure(contestant)


def self_test():
    """Wrong arithmetic would make every figure wrong: checked before each run."""
    hundred = Series("", "", "", [float(value) for value in range(100, 0, -1)])
    assert (hundred.median, hundred.rank(0.5), hundred.rank(0.99)) == (50.5, 50, 99)
    assert Series("", "", "", [3.0]).rank(0.99) == 3
    assert math.isnan(Series("", "", "").median)
    assert Target("", 2, 2, "").is_met and not Target("", 1, 2, "", is_floor=True).is_met
    assert Target("", math.nan, 1, "").is_met is None
