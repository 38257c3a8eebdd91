"""What a process takes of the machine, as the kernel tells it."""
import pathlib


def status(pid, field):
    """A number of /proc/PID/status; None where this kernel does not say it."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return None


def resident_megabytes(pid):
    return (status(pid, "VmRSS") or 0) / 1024


def rollup(pid):
    """Megabytes by name (`Rss`, `Pss`, `Private_Clean`, `Private_Dirty`, …); empty where there is no such file."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}


def reset_peak(pid):
    """From now on `VmHWM` is the most since now."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_megabytes(pid):
    return (status(pid, "VmHWM") or 0) / 1024


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def children(pid):
    """(pid, state) of each process whose parent it is, but of the shell that waits for the next command."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                waits = b": waits for the next command" in (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == pid and not waits:
                found.append((int(entry.name), fields[0]))
    return found
