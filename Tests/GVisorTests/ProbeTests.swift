import FoundationEssentials
import GVisor
import Glibc
import LinuxHost
import Testing

@Suite(.enabled(Build.absence) { Build.here }, .serialized, .timeLimit(.minutes(5)))
struct ProbeTests {
    /// Nothing may be left in it.
    private func withRoot(_ body: (String) async throws -> Void) async throws {
        let root = "/tmp/gvisor-probe-\(UInt64.random(in: .min ... .max))"
        defer { removeTree(root) }
        try await body(root)
        #expect(try FileManager.default.contentsOfDirectory(atPath: root) == [])
    }

    @Test func whatIsFoundHasRun() async throws {
        for executable in Build.executables {
            try await withRoot { root in
                let runsc = try await Runsc.probe(
                    executable: executable, root: root, platform: nil, tools: .ofThisProcess)
                #expect(["systrap", "ptrace"].contains(runsc.abilities.platform))
                #expect(["sandbox", "host"].contains(runsc.abilities.network))
                #expect(runsc.abilities.flags.contains("--ignore-cgroups=true"))
            }
        }
    }

    @Test func aPlatformThatHangsIsGivenUpAndTheNextIsTaken() async throws {
        // Hangs as kvm does where /dev/kvm leads nowhere: what it started stays after it was killed itself.
        try await withStandIn(
            """
            case "$*" in *platform=kvm*) setsid sh -c "while :; do sleep 0.05; done; : $*" & sleep 1000;; esac
            """
        ) { executable in
            try await withRoot { root in
                let runsc = try await Runsc.probe(
                    executable: executable, root: root, platform: "kvm,ptrace", tools: .ofThisProcess)
                #expect(runsc.abilities.platform == "ptrace")
                let left = try await Tools.ofThisProcess.run("ps", ["-eo", "args"]).standardOutput
                #expect(!left.contains("platform=kvm --root=\(root)"))
                #expect(!left.contains(root))
            }
        }
    }

    @Test func whatWasFoundIsFoundWithoutATrialUntilTheExecutableChanges() async throws {
        let folder = "/tmp/gvisor-memory-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { removeTree(folder) }
        let calls = { try? String(contentsOfFile: "\(folder)/calls", encoding: .utf8).utf8.count }
        try await withStandIn("echo >>\(folder)/calls") { executable in
            func probe() async throws -> Runsc.Abilities {
                try await Runsc.probe(
                    executable: executable, root: "\(folder)/root", memory: "\(folder)/found.json", platform: "ptrace",
                    tools: .ofThisProcess
                ).abilities
            }
            let first = try await probe()
            let made = calls()
            #expect(try await probe() == first)
            #expect(made != nil && calls() == made)
            // As after an upgrade.
            try await Tools.ofThisProcess.run("touch", ["-d", "2001-01-01", executable])
            #expect(try await probe() == first)
            #expect(calls() != made)
        }
    }

    @Test func whereNothingStartsTheReasonIsTold() async throws {
        try await withStandIn(#"case "$*" in *bundle*) echo "no such thing here" >&2; exit 3;; esac"#) { executable in
            try await withRoot { root in
                let error = await #expect(throws: RunscError.self) {
                    try await Runsc.probe(executable: executable, root: root, platform: "ptrace", tools: .ofThisProcess)
                }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("no such thing here") == true)
            }
        }
        for (executable, platform) in [("/no/such/runsc", nil), (Build.executables[0], "magic"), ("/bin/true", nil)] {
            let error = await #expect(throws: RunscError.self) {
                try await Runsc.probe(
                    executable: executable, root: "/tmp/never-made", platform: platform, tools: .ofThisProcess)
            }
            #expect(error?.code == .unavailable)
        }
        #expect(access("/tmp/never-made", F_OK) != 0)
    }

    @Test func whatAKilledProbeLeftIsRemovedByTheNext() async throws {
        try await withRoot { root in
            let left = "\(root)/probeleftover\(UInt64.random(in: .min ... .max))"
            let tools = Tools.ofThisProcess
            try await tools.run("mkdir", ["-p", "\(left)/state", "\(left)/first"])
            try await tools.run("touch", ["\(left)/state/some.state", "\(left)/output"])
            let started = try await tools.run(
                "sh", ["-c", #"sh -c 'while :; do sleep 0.05; done' "$0" >/dev/null 2>&1 & echo $!"#, left])
            let process = try #require(Int32(started.standardOutput.trimmed))
            _ = try await Runsc.probe(
                executable: Build.executables[0], root: root, platform: nil, tools: tools)
            #expect(!ProcessWatch.isRunning(process))
        }
    }

    /// A script in the place of runsc that does `first` and then what runsc does.
    private func withStandIn(_ first: String, _ body: (String) async throws -> Void) async throws {
        let path = "/tmp/runsc-stand-in-\(UInt64.random(in: .min ... .max))"
        defer { unlink(path) }
        try "#!/bin/sh\n\(first)\nexec \(Build.executables[0]) \"$@\"\n".write(
            toFile: path, atomically: false, encoding: .utf8)
        chmod(path, 0o700)
        try await body(path)
    }
}
