import ComputeCore
import Glibc
import SidekickService
import Testing

struct UserThreadsTests {
    private static func user(_ id: UInt32?) -> UserIdentity {
        UserIdentity(
            name: "u", ids: id.map { UserIdentity.IDs(uid: $0, gid: $0, supplementary: []) }, home: "/",
            shell: "/bin/sh")
    }

    @Test(.enabled(if: geteuid() == 0, "only root can become another account"))
    func everyAccountHasThreadsOfItsOwnAndOldOnesMakeRoom() async throws {
        let threads = UserThreads()
        for round in 0..<2 {
            for id in 20_000..<UInt32(20_020) {
                // The identity of the thread, not glibc's idea of the process.
                let seen = try await threads.run(as: Self.user(id)) { geteuid() }
                #expect(seen == id, "round \(round)")
            }
        }
        #expect(try await threads.run(as: Self.user(nil)) { geteuid() } == 0)
    }

    @Test func whatIsTooMuchIsAnsweredWithLater() async throws {
        let threads = UserThreads()
        var statuses: [Int] = []
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<400 {
                group.addTask {
                    do {
                        return try await threads.run(as: Self.user(nil)) {
                            usleep(2000)
                            return 200
                        }
                    } catch { return (error as? Problem)?.status ?? 0 }
                }
            }
            for await status in group { statuses.append(status) }
        }
        #expect(Set(statuses).isSubset(of: [200, 503]))
        #expect(statuses.filter { $0 == 200 }.count >= 256)
    }
}
