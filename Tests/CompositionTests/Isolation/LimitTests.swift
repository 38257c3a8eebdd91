import ComputeCore
import Foundation
import NIOCore
import Testing

extension IsolationTests {
    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func aMemoryHogDiesAndTheSidekickAndOtherProcessesLive(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let neighbour = try await compute.run("setsid sleep 1000 >/dev/null 2>&1 & echo $!").line
            let hog = try await compute.python(
                """
                held = []
                while True:
                    held.append(bytearray(b"x" * (4 << 20)))
                """, timeout: .seconds(120))
            #expect(hog.exitCode != 0, "\(hog)")
            #expect(try await compute.run("kill -0 \(neighbour) && echo alive").line == "alive")
            // Its memory is there again for the next one.
            let next = try await compute.python("print(len(bytearray(b'x' * (32 << 20))))")
            #expect(next.line == "\(32 << 20)", "\(next)")
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func aForkBombStaysInsideItsLimitAndTheComputeAnswersAfterwards(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let bomb = try await compute.python(
                """
                import subprocess
                children = []
                try:
                    while len(children) < 2000:
                        # Small ones, so that it is their number that ends them, not their memory.
                        children.append(subprocess.Popen(["sleep", "600"]))
                except OSError as error:
                    print(error.errno, len(children))
                for child in children:
                    child.kill()
                """, timeout: .seconds(120))
            let words = bomb.line.split(separator: " ").compactMap { Int($0) }
            try #require(words.count == 2, "\(bomb)")
            #expect(words[0] == Int(EAGAIN) && (8...64).contains(words[1]), "\(bomb)")
            try await eventually("the compute answers") { await compute.answers() }

            // And one that defends itself: what ran before it lives on.
            let bystander = try await compute.run("sleep 600 >/dev/null 2>&1 & echo $!").line
            // Half a second later it is known: who comes together with a bomb goes with it.
            try await Task.sleep(for: .milliseconds(500))
            let defender =
                "use POSIX; while (1) { $p = fork; if (defined $p && !$p) { setsid; exit if fork } waitpid $p, 0 if $p }"
            async let defended = compute.run("exec perl -e '\(defender)'", timeout: .seconds(120))
            let alive = "kill -0 \(bystander) && sh -c 'echo alive'"
            // Each of these may be refused, and says that somebody needs a place.
            let others = Task {
                while !Task.isCancelled { _ = try? await compute.run(alive, timeout: .seconds(20)) }
            }
            #expect(try await defended.exitCode == 137)
            others.cancel()
            await others.value
            try await eventually("others can start", within: .seconds(60)) {
                try await compute.run(alive).stdout == "alive\n"
            }
        }
    }

    /// gVisor keeps tasks of the host for processes that are long over, more of them from round to round.
    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func processesThatComeAndGoDoNotUseTheComputeUp(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            for round in 1...9 {
                let ran = try await compute.run(
                    "for i in $(seq 55); do sleep 0.6 & done; wait", timeout: .seconds(60))
                #expect(ran.exitCode == 0, "round \(round): \(ran)")
            }
            #expect(await compute.answers())
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available, ["$HOME", "/tmp"])
    func aFullDiskIsSaidAndTheComputeStaysUsable(_ pair: GVisorPair, _ folder: String) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let fill = try await compute.run(
                "dd if=/dev/zero of=\(folder)/fill bs=1M count=400", timeout: .seconds(120))
            #expect(fill.exitCode != 0 && fill.stderr.contains("No space left on device"), "\(fill)")
            #expect(await compute.answers())
            let again = try await compute.run("rm \(folder)/fill && echo kept >\(folder)/small && cat \(folder)/small")
            #expect(again.stdout == "kept\n", "\(again)")
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func memoryThatLooksLikeFilesIsLimitedToo(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let size = try await compute.run("df -k --output=size /dev/shm | tail -1")
            #expect(size.line == "\(64 << 10)", "\(size)")
            let fill = try await compute.run("dd if=/dev/zero of=/dev/shm/fill bs=1M count=2000")
            #expect(fill.exitCode != 0 && fill.stderr.contains("No space left on device"), "\(fill)")
            #expect(try await compute.run("stat -c %s /dev/shm/fill").line == "\(64 << 20)")
            #expect(await compute.answers())
        }
    }
}
