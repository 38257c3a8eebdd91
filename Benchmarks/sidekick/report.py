"""The table, and the same as a document."""
import math


def table(place, series, targets, absences):
    lines = ["", f"== {place}", f"{'':48}{'n':>7}{'p50':>12}{'p99':>12}  {'':5}{'ours / its':>10}"]
    for discipline in dict.fromkeys(one.discipline for one in series):
        lines.append(discipline)
        rows = [one for one in series if one.discipline == discipline and one.values]
        own = next((one for one in rows if one.contestant == "sidekick"), None)
        for one in rows:
            is_peer = own and one is not own
            ratio = f"{own.rank(0.5) / one.rank(0.5):10.2f}" if is_peer and one.rank(0.5) else ""
            lines.append(
                f"  {one.contestant:46}{len(one.values):7}{number(one.rank(0.5))}{number(one.rank(0.99))}"
                f"  {one.unit:5}{ratio:>10}  {one.note}".rstrip())
    lines += ["", f"{'target':62}{'measured':>12}{'wanted':>15}"]
    for target in targets:
        sign = {True: "✓", False: "✗", None: "–"}[target.is_met]
        wanted = f"{'≥' if target.is_floor else '≤'} {target.limit:g} {target.unit}"
        lines.append(f"{sign} {target.name:60}{number(target.measured)}{wanted:>15}")
    lines += [f"– not measured: {absence}" for absence in absences]
    return "\n".join(lines)


def number(value):
    if not math.isfinite(value):
        return f"{'–':>12}"
    return f"{value:12.3f}" if abs(value) < 100 else f"{value:12.1f}"


def document(place, facts, series, targets, absences):
    return {
        "place": place, "facts": facts, "series": [one.document for one in series if one.values],
        "targets": [target.document for target in targets], "not_measured": absences,
    }
