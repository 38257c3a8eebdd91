import Testing

/// What code in a compute can do to anything else, tried from inside through the public API alone, on each gVisor there
/// is here. The tests take turns: some of them fill memory, disk or process table.
// Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
@Suite(.serialized, .served, .enabled(if: !GVisorPair.available.isEmpty))
struct IsolationTests {}
