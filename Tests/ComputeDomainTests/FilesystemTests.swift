import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

private let models = FilesystemSpec(name: "models", sizeMiB: 512)
private let one = ComputeID("aaaaaaaaaaaaaaaaaaaa")!
private let two = ComputeID("bbbbbbbbbbbbbbbbbbbb")!
private let writer = FilesystemAttachment(path: "/data", isReadOnly: false)
private let reader = FilesystemAttachment(path: "/data", isReadOnly: true)

struct FilesystemTests {
    typealias Outcome = Result<[FilesystemEvent], Filesystem.Rejection>
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [FilesystemEvent]
        var when: Filesystem.Command
        var then: Outcome
        var testDescription: String { name }
    }

    static let made = [FilesystemEvent.created(models)]
    static let written = made + [.attached(one, writer)]
    static let read = made + [.attached(one, reader)]
    static let gone = made + [.deleted]
    static let table: [Row] = [
        Row(name: "create", given: [], when: .create(models), then: .success(made)),
        Row(name: "create twice", given: made, when: .create(models), then: .failure(.alreadyThere)),
        Row(name: "create what is gone", given: gone, when: .create(models), then: .failure(.alreadyThere)),
        Row(name: "a writer", given: made, when: .attach(one, writer), then: .success([.attached(one, writer)])),
        Row(name: "the same again", given: written, when: .attach(one, writer), then: .success([])),
        Row(
            name: "the same elsewhere", given: written, when: .attach(one, reader), then: .failure(.alreadyAttached)),
        Row(
            name: "a second writer", given: written, when: .attach(two, writer),
            then: .failure(.beingWritten(by: one))),
        Row(
            name: "a reader beside a writer", given: written, when: .attach(two, reader),
            then: .failure(.beingWritten(by: one))),
        Row(name: "a second reader", given: read, when: .attach(two, reader), then: .success([.attached(two, reader)])),
        Row(name: "a writer beside a reader", given: read, when: .attach(two, writer), then: .failure(.inUse(1))),
        Row(
            name: "a writer after the last one", given: written + [.detached(one)], when: .attach(two, writer),
            then: .success([.attached(two, writer)])),
        Row(name: "attach nothing", given: [], when: .attach(one, writer), then: .failure(.absent)),
        Row(name: "attach what is gone", given: gone, when: .attach(one, writer), then: .failure(.absent)),
        Row(name: "detach", given: written, when: .detach(one), then: .success([.detached(one)])),
        Row(name: "detach a stranger", given: written, when: .detach(two), then: .success([])),
        Row(name: "detach from what is gone", given: gone, when: .detach(one), then: .success([])),
        Row(name: "delete", given: made, when: .delete, then: .success([.deleted])),
        Row(name: "delete in use", given: read + [.attached(two, reader)], when: .delete, then: .failure(.inUse(2))),
        Row(name: "delete after use", given: written + [.detached(one)], when: .delete, then: .success([.deleted])),
        Row(name: "delete twice", given: gone, when: .delete, then: .failure(.absent)),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(Filesystem.Rejection) in
            try Filesystem.decide(row.when, Filesystem.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test(arguments: [[], made, written, read + [.attached(two, reader)], gone])
    func theShortestHistoryLeadsToTheSameState(events: [FilesystemEvent]) throws {
        let state = Filesystem.replay(events)
        #expect(Filesystem.replay(try #require(Filesystem.condensed(state))) == state)
    }

    @Test func eventsComeBackAsTheyWereRecorded() throws {
        for event in Self.written + [.attached(two, reader), .detached(one), .deleted] {
            let recorded = event.recorded
            #expect(try FilesystemEvent(type: recorded.type, data: recorded.data) == event)
        }
        #expect(try FilesystemEvent(type: "FilesystemPainted", data: .object([:])) == nil)
    }

    @Test func aComputesRequestTellsWhatItMounts() throws {
        var spec = ComputeSpec(timeout: .seconds(60))
        let id = FilesystemID.random()
        spec.filesystems = [ComputeFilesystem(id: id, name: "models", attachment: reader)]
        let event = ComputeEvent.requested(spec, at: WallTime(milliseconds: 5))
        #expect(try ComputeEvent(type: event.recorded.type, data: event.recorded.data) == event)
        spec.filesystems = []
        let without = ComputeEvent.requested(spec, at: WallTime(milliseconds: 5)).recorded
        guard case .object(let fields) = without.data else {
            Issue.record("no object")
            return
        }
        #expect(fields["filesystems"] == nil, "as it was recorded before there were any")
    }
}
