import Composition
import ComputeCore
import Foundation
import NIOCore
import SidekickProtocol
import Testing

extension IsolationTests {
    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func userCodeFindsTheSecretNowhere(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let key = try ServiceKeys.sidekickKey(inDirectory: compute.system.dataDirectory)
            let id = try #require(ComputeID(compute.id))
            let secret = SidekickSecret.derive(from: key, computeID: id, generation: .first)
            // In two parts, so that the search does not find itself.
            let search = """
                import os
                secret = b"\(secret.prefix(20))" + b"\(secret.dropFirst(20))"
                own = "\(String.randomLabel(length: 4))"
                def look(path):
                    try:
                        with open(path, "rb") as file:
                            if secret in file.read(1 << 24):
                                print(path)
                    except OSError:
                        pass
                for pid in filter(str.isdigit, os.listdir("/proc")):
                    if int(pid) != os.getpid():
                        for name in ["environ", "cmdline", "mem", "maps", "stack", "status"]:
                            look(f"/proc/{pid}/{name}")
                        for sub in ["fd", "task", "cwd", "root/computesdk"]:
                            try:
                                for entry in os.listdir(f"/proc/{pid}/{sub}"):
                                    if sub != "task":
                                        look(f"/proc/{pid}/{sub}/{entry}")
                            except OSError:
                                pass
                for top in ["/computesdk", "/run", "/tmp", "/var", "/home", "/etc", "/dev/shm"]:
                    for folder, _, names in os.walk(top):
                        for name in names:
                            path = os.path.join(folder, name)
                            if os.path.isfile(path):
                                look(path)
                print("looked")
                """
            let found = try await compute.python(search, timeout: .seconds(100))
            #expect(found.stdout == "looked\n", "\(found)")
            #expect(try await compute.run("ls /computesdk/state").exitCode != 0)
            #expect(try await compute.run("env").stdout.contains(secret) == false)
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func userCodeCanNeitherKillNorTraceTheSidekick(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let traced = try await compute.python(
                """
                import ctypes, os
                libc = ctypes.CDLL(None, use_errno=True)
                PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
                sidekicks = [int(p) for p in os.listdir("/proc") if p.isdigit()
                             and open(f"/proc/{p}/cmdline").read().startswith("/computesdk/bin/sidekick")]
                print("sidekicks", len(sidekicks) > 0)
                for pid in sidekicks:
                    for request in [PTRACE_ATTACH, PTRACE_SEIZE]:
                        if libc.ptrace(request, pid, 0, 0) == 0:
                            print("traced", pid)
                    for signal in [9, 15, 19, 2]:
                        try:
                            os.kill(pid, signal)
                            print("signalled", pid, signal)
                        except PermissionError:
                            pass
                    try:
                        open(f"/proc/{pid}/mem", "r+b")
                        print("opened", pid)
                    except OSError:
                        pass
                """)
            #expect(traced.stdout == "sidekicks True\n", "\(traced)")
            // Everything he may signal, his own shell included.
            _ = try? await compute.run("kill -9 -1", timeout: .seconds(20))
            #expect(await compute.answers())
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func userCodeCannotTakeTheSidekicksPortsNorIsOneOfferedOutside(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            let bound = try await compute.python(
                """
                import socket
                for port in [18080, 18081]:
                    for host in ["0.0.0.0", "127.0.0.1", "\(try await compute.address())"]:
                        for option in [None, socket.SO_REUSEADDR, socket.SO_REUSEPORT]:
                            s = socket.socket()
                            if option is not None:
                                s.setsockopt(socket.SOL_SOCKET, option, 1)
                            try:
                                s.bind((host, port))
                                s.listen()
                                print("listens", host, port, option)
                            except OSError:
                                pass
                """)
            #expect(bound.exitCode == 0 && bound.stdout == "", "\(bound)")
            #expect(await compute.answers())
            for port in [18080, 18081] {
                let answer = try await compute.system.send(
                    "GET", "\(compute.url)/s/\(compute.id)/p/\(port)/health", token: compute.token)
                #expect(answer.status == 404, "\(port): \(answer)")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: GVisorPair.available)
    func whatRootInsideBreaksIsHisComputeAlone(_ pair: GVisorPair) async throws {
        try await SharedSystems.withCompute(on: pair) { compute in
            try await SharedSystems.withCompute(on: pair) { other in
                let root = try await compute.rootPrefix()
                _ = try? await compute.run("\(root)kill -9 1; \(root)kill -9 -1", timeout: .seconds(20))
                _ = try? await compute.run("\(root)rm -rf /computesdk /bin /lib /usr/bin", timeout: .seconds(60))
                #expect(await other.answers())
                // The image is shared; what one changes is in his own layer.
                try await SharedSystems.withCompute(on: pair) { fresh in
                    let used = try await fresh.python("print('whole')")
                    #expect(used.line == "whole", "\(used)")
                }
            }
        }
    }
}
