import ComputeCore
import ComputeDomain
import EventSourcing
import Foundation
import SQLStore
import Synchronization
import TestSupport
import Testing

private let now = WallTime(milliseconds: 1_800_000_000_000)

/// A database of one number, whose reads are counted.
private final class Source: Sendable {
    private let state = Mutex((value: Int?.some(1), reads: 0))

    var reads: Int { state.withLock { $0.reads } }

    func set(_ value: Int?) { state.withLock { $0.value = value } }

    func read() -> Int? {
        state.withLock { state in
            state.reads += 1
            return state.value
        }
    }
}

/// What the readers of a test ask for at the moment.
private final class Current: Sendable {
    private let state = Mutex((key: "", compute: ComputeID.random()))

    var value: (key: String, compute: ComputeID) { state.withLock { $0 } }

    func set(_ key: String, _ compute: ComputeID) { state.withLock { $0 = (key, compute) } }
}

struct RecentReadsTests {
    @Test func whatWasReadIsKeptUntilTheNextWrite() async throws {
        let (writes, source) = (WriteCount(), Source())
        let recent = RecentReads<String, Int>(writes, most: 10)
        for _ in 0..<3 { #expect(try await recent.value("n") { source.read() } == 1) }
        #expect(source.reads == 1)
        source.set(2)
        writes.advance()
        for _ in 0..<3 { #expect(try await recent.value("n") { source.read() } == 2) }
        #expect(source.reads == 2)
    }

    @Test func whatIsNotThereIsAskedForEachTime() async throws {
        let source = Source()
        source.set(nil)
        let recent = RecentReads<String, Int>(WriteCount(), most: 10)
        for _ in 0..<3 { #expect(try await recent.value("n") { source.read() } == nil) }
        #expect(source.reads == 3)
    }

    @Test func whatWasReadBeforeAWriteIsNotKeptBeyondItHoweverLateItComes() async throws {
        let (writes, source) = (WriteCount(), Source())
        let recent = RecentReads<String, Int>(writes, most: 10)
        // The write comes while the answer of the database is on its way.
        let late = try await recent.value("n") {
            let value = source.read()
            source.set(2)
            writes.advance()
            return value
        }
        #expect(late == 1, "it was asked for before the write was through")
        #expect(try await recent.value("n") { source.read() } == 2)
    }

    @Test func aLateAnswerDoesNotReplaceWhatAnotherOneReadSince() async throws {
        let (writes, source) = (WriteCount(), Source())
        let recent = RecentReads<String, Int>(writes, most: 10)
        _ = try await recent.value("n") { () async throws(EventStoreError) in
            let value = source.read()
            source.set(2)
            writes.advance()
            #expect(try await recent.value("n") { source.read() } == 2)
            return value
        }
        #expect(try await recent.value("n") { source.read() } == 2)
    }

    @Test func aFailureIsNotKept() async throws {
        let (writes, source) = (WriteCount(), Source())
        let recent = RecentReads<String, Int>(writes, most: 10)
        await #expect(throws: EventStoreError.self) {
            try await recent.value("n") { () throws(EventStoreError) in throw EventStoreError(.unavailable, "busy") }
        }
        #expect(try await recent.value("n") { source.read() } == 1)
    }

    @Test func whereOthersWriteNothingIsKept() async throws {
        let source = Source()
        let recent = RecentReads<String, Int>(WriteCount(), most: 0)
        for _ in 0..<3 { #expect(try await recent.value("n") { source.read() } == 1) }
        #expect(source.reads == 3)
    }

    @Test func onlySoManyAreKept() async throws {
        let source = Source()
        let recent = RecentReads<Int, Int>(WriteCount(), most: 3)
        for key in 0..<3 { _ = try await recent.value(key) { source.read() } }
        for key in 0..<3 { _ = try await recent.value(key) { source.read() } }
        #expect(source.reads == 3)
        _ = try await recent.value(3) { source.read() }
        _ = try await recent.value(3) { source.read() }
        #expect(source.reads == 4)
        _ = try await recent.value(0) { source.read() }
        #expect(source.reads == 5, "it had to make room")
    }

    @Test func whatIsLargeTakesThePlaceOfMany() async throws {
        let source = Source()
        let recent = RecentReads<Int, Int>(WriteCount(), most: 10) { _ in 4 }
        for _ in 0..<2 { for key in 0..<2 { _ = try await recent.value(key) { source.read() } } }
        #expect(source.reads == 2)
        for _ in 0..<2 { _ = try await recent.value(2) { source.read() } }
        #expect(source.reads == 3)
        _ = try await recent.value(0) { source.read() }
        #expect(source.reads == 4, "there was no room for three")
    }

    /// Readers that never stop, so that something is kept at every moment; whoever was told of a change asks once more.
    @Test func whatWasAcknowledgedIsSeenByWhoeverAsksThen() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "recent-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await SQLiteEventStore.open(at: folder + "/db", now: now)
        let current = Current()
        let readers = (0..<4).map { _ in
            Task {
                while !Task.isCancelled {
                    let (key, compute) = current.value
                    _ = try await store.chain(keyHash: key)
                    _ = try await store.chain(AccessRecord.ID(.key, key))
                    _ = try await store.summary(compute, in: .default)
                    // What is kept is there without a wait, and the threads are few.
                    await Task.yield()
                }
            }
        }
        for n in 0..<100 {
            let (grant, compute) = (KeyGrant(id: "key\(n)", label: "l", prefix: "p"), ComputeID.random())
            current.set(grant.id, compute)
            _ = try await store.commit(.key(grant, [.created(grant)], hash: grant.id))
            #expect(try await store.chain(keyHash: grant.id)?.chain.count == 1)
            _ = try await store.commit(
                .compute(
                    compute, in: .default, expectedVersion: 0, before: .absent,
                    events: [.requested(ComputeSpec(timeout: .seconds(60)), at: now)], metadata: .system, at: now))
            #expect(try await store.summary(compute, in: .default)?.version == 1)
            try await store.noteAccess([AccessRecord.ID(.key, grant.id): now + .seconds(n)])
            #expect(try await store.chain(AccessRecord.ID(.key, grant.id)).first?.lastUsedAt == now + .seconds(n))
            _ = try await store.commit(.key(grant, [.revoked], version: 1))
            #expect(try await store.chain(keyHash: grant.id)?.chain.first == nil)
            #expect(try await store.chain(AccessRecord.ID(.key, grant.id)).isEmpty)
        }
        for reader in readers { reader.cancel() }
        for reader in readers { _ = await reader.result }
        try await store.close()
    }
}
