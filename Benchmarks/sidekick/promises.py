"""What must hold, and whether it did."""
import dataclasses


@dataclasses.dataclass
class Promise:
    name: str
    is_kept: bool
    found: str = ""

    @classmethod
    def at_most(cls, name, value, limit, unit):
        return cls(name, value <= limit, f"{value:.1f} {unit}, at most {limit:g}")

    @property
    def line(self):
        return f"{'✓' if self.is_kept else '✗'} {self.name}{': ' + self.found if self.found else ''}"
