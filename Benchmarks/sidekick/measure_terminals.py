"""What a terminal lets through, and how long a key takes to come back."""
import contextlib
import time

from peers.ssh import SSH
from peers.terminado_process import Terminado
from series import Series, Target, alternate
from terminals import SidekickTerminal, SSHTerminal, TerminadoTerminal, make_raw, read_until

ECHO, THROUGHPUT = "keystroke echo", "terminal throughput"
NAMES = ("sidekick", "terminado", "ssh")


def measure(stage):
    with contextlib.ExitStack() as stack:
        open_terminal = {"sidekick": lambda: SidekickTerminal(stage.sidekick)}
        if terminado := stage.peer(stack, "terminado", Terminado):
            open_terminal["terminado"] = lambda: TerminadoTerminal(terminado)
        if ssh := stage.peer(stack, "ssh", SSH, stage.folder("ssh")):
            open_terminal["ssh"] = lambda: SSHTerminal(ssh)
        echo, echo_targets = measure_echo(stage, open_terminal)
        throughput, throughput_targets = measure_throughput(stage, open_terminal)
    return echo + throughput, echo_targets + throughput_targets


def measure_echo(stage, open_terminal):
    """A `cat` in a raw terminal: a byte goes in, and is awaited."""
    series = {name: Series(ECHO, name, "ms") for name in NAMES}
    with contextlib.ExitStack() as stack:
        terminals = {name: stack.enter_context(contextlib.closing(open())) for name, open in open_terminal.items()}
        for terminal in terminals.values():
            make_raw(terminal)
            terminal.write("printf %s GO''ES; exec cat\n")
            read_until(terminal, b"GOES")

        def several(name):
            terminal = terminals[name]
            key = terminal.message("k")
            for number in range(stage.effort.keys + 1):
                start = time.perf_counter()
                terminal.send(key)
                received = terminal.receive()
                elapsed = time.perf_counter() - start
                output = terminal.output(received)
                is_echo = output is not None
                assert (output if is_echo else terminal.read()) == b"k", f"{name} echoes something else"
                # The first of a round finds everything cold that others have used meanwhile. An event of another kind that
                # came first has stopped the clock too early.
                if number and is_echo:
                    series[name].values.append(elapsed * 1000)

        alternate(terminals, stage.effort.rounds, several)
    targets = [
        Target(f"echo {label} / {peer}'s", series["sidekick"].rank(share) / series[peer].rank(share), 1, "×")
        for peer in NAMES[1:] for label, share in (("p50", 0.5), ("p99", 0.99))]
    return list(series.values()), targets


def measure_throughput(stage, open_terminal):
    """A file goes through `cat`; what arrives is counted to the last byte."""
    file = stage.folder("text") / "text"
    line = ("0123456789abcdef" * 4)[:63].encode() + b"\n"
    size = stage.effort.terminal_megabytes * 1_000_000 // len(line) * len(line)
    file.write_bytes(line * (size // len(line)))
    series = {name: Series(THROUGHPUT, name, "MB/s") for name in NAMES}
    lost = dict.fromkeys(open_terminal, 0)

    def once(name):
        with contextlib.closing(open_terminal[name]()) as terminal:
            make_raw(terminal)
            start = time.perf_counter()
            terminal.write(f"cat {file}; printf %s EN''D\n")
            count = read_until(terminal, b"END") - 3
            elapsed = time.perf_counter() - start
            # What arrived and what was said to be lost are the whole, or somebody lies.
            assert count + terminal.dropped == size, f"{name}: {count} and {terminal.dropped} lost of {size} bytes"
            lost[name] = max(lost[name], terminal.dropped)
            series[name].values.append(count / 1e6 / elapsed)

    alternate(open_terminal, stage.effort.transfers, once)
    for name, count in lost.items():
        series[name].note = f"LOST {count} of {size} bytes" if count else "complete"
    targets = [
        Target(f"terminal throughput / {peer}'s", series["sidekick"].median / series[peer].median, 1, "×", is_floor=True)
        for peer in NAMES[1:]]
    # A rate of bytes of which some are lost is no rate.
    targets.append(Target("terminal bytes lost", lost["sidekick"], 0, "bytes"))
    return list(series.values()), targets
