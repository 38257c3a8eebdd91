import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

let t0 = WallTime(milliseconds: 1_800_000_000_000)
let spec = ComputeSpec(
    name: "dev", namespace: "team", timeout: .seconds(60), metadata: ["a": .array([.int(1), .null])],
    envNames: ["TOKEN"], directory: "/home/user")

/// Nothing but one address.
let narrow = NetworkPolicy(internet: false, allowOut: [try? IPBlock("203.0.113.7")].compactMap(\.self))

func place(_ generation: Int, _ member: String = "m1") -> Placement {
    Placement(
        member: MemberName(member), generation: Generation(generation), sidekick: .tcp(host: "10.0.0.1", port: 18080),
        sidekickInternal: .unix(path: "/run/x.sock"), portHost: "10.0.0.1")
}

struct ComputeTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [ComputeEvent]
        var when: Compute.Command
        var then: Result<[ComputeEvent], Compute.Rejection>
        var testDescription: String { name }
    }

    static let requested = [ComputeEvent.requested(spec, at: t0)]
    static let running = requested + [.started(place(1), expiresAt: t0 + .seconds(60))]
    static let paused = running + [.paused(Generation(1))]
    static let ended = running + [.ended(.deleted)]

    static let table: [Row] = [
        Row(name: "request", given: [], when: .request(spec, at: t0), then: .success(requested)),
        Row(name: "request twice", given: requested, when: .request(spec, at: t0), then: .failure(.alreadyRequested)),
        Row(name: "request the ended", given: ended, when: .request(spec, at: t0), then: .failure(.alreadyRequested)),
        Row(name: "start nothing", given: [], when: .start(place(1), at: t0), then: .failure(.absent)),
        Row(
            name: "life counts from the start", given: requested, when: .start(place(1), at: t0 + .seconds(5)),
            then: .success([.started(place(1), expiresAt: t0 + .seconds(65))])),
        Row(name: "start again there", given: running, when: .start(place(1), at: t0), then: .success([])),
        Row(
            name: "start elsewhere, same generation", given: running, when: .start(place(1, "m2"), at: t0),
            then: .failure(.alreadyRunning(place(1)))),
        Row(
            name: "a new place is no new life", given: running, when: .start(place(2, "m2"), at: t0 + .seconds(30)),
            then: .success([.started(place(2, "m2"), expiresAt: t0 + .seconds(60))])),
        Row(name: "start the ended", given: ended, when: .start(place(2), at: t0), then: .failure(.ended(.deleted))),
        Row(name: "extend nothing", given: [], when: extend(10), then: .failure(.absent)),
        Row(name: "extend before the start", given: requested, when: extend(10), then: .failure(.notRunningYet)),
        Row(
            name: "extend adds to the expiry", given: running, when: extend(10),
            then: .success([.extended(expiresAt: t0 + .seconds(70))])),
        Row(
            name: "extend counts from now when overdue", given: running, when: extend(10, at: 100),
            then: .success([.extended(expiresAt: t0 + .seconds(110))])),
        Row(
            name: "extend stops at the maximum", given: running, when: extend(10_000, maximum: 90),
            then: .success([.extended(expiresAt: t0 + .seconds(90))])),
        Row(name: "a low maximum shortens nothing", given: running, when: extend(10, maximum: 5), then: .success([])),
        Row(name: "extend by nothing", given: running, when: extend(0), then: .success([])),
        Row(name: "extend backwards", given: running, when: extend(-10), then: .success([])),
        Row(
            name: "no sum overflows", given: running, when: extend(Int64.max / 2000, maximum: 100),
            then: .success([.extended(expiresAt: t0 + .seconds(100))])),
        Row(name: "extend the ended", given: ended, when: extend(10), then: .failure(.ended(.deleted))),
        Row(name: "end nothing", given: [], when: .end(.deleted), then: .failure(.absent)),
        Row(
            name: "end the requested", given: requested, when: .end(.startFailed),
            then: .success([.ended(.startFailed)])),
        Row(name: "end the running", given: running, when: .end(.expired), then: .success([.ended(.expired)])),
        Row(name: "end twice", given: ended, when: .end(.expired), then: .success([])),
    ]

    static let changesAndPauses: [Row] = [
        Row(name: "change nothing there", given: [], when: change(["a": .null]), then: .failure(.absent)),
        Row(name: "change before the start", given: requested, when: change([:]), then: .failure(.notRunningYet)),
        Row(name: "change the ended", given: ended, when: change([:]), then: .failure(.ended(.deleted))),
        Row(name: "change nothing", given: running, when: change([:]), then: .success([])),
        Row(
            name: "an entry is set beside the others", given: running, when: change(["b": .int(2)]),
            then: .success([.metadataChanged(["a": .array([.int(1), .null]), "b": .int(2)])])),
        Row(
            name: "null removes an entry", given: running, when: change(["a": .null, "b": .null]),
            then: .success([.metadataChanged([:])])),
        Row(
            name: "an entry is replaced whole", given: paused, when: change(["a": .object([:])]),
            then: .success([.metadataChanged(["a": .object([:])])])),
        Row(
            name: "metadata may not grow without end", given: running,
            when: change(["b": .string(String(repeating: "x", count: 100))]), then: .failure(.metadataTooLarge)),
        Row(
            name: "a lifetime counts from now, and may become shorter", given: running,
            when: change([:], timeout: 10, at: 5),
            then: .success([.expiryChanged(expiresAt: t0 + .seconds(15))])),
        Row(
            name: "the same end is no change", given: running, when: change([:], timeout: 50, at: 10),
            then: .success([])),
        Row(
            name: "both at once", given: paused, when: change(["a": .null], timeout: 10, at: 5),
            then: .success([.metadataChanged([:]), .expiryChanged(expiresAt: t0 + .seconds(15))])),
        Row(
            name: "a network", given: running, when: change([:], network: narrow),
            then: .success([.networkChanged(narrow)])),
        Row(
            name: "the same network is no change", given: paused + [.networkChanged(narrow)],
            when: change([:], network: narrow), then: .success([])),
        Row(
            name: "a network is opened again", given: running + [.networkChanged(narrow), .paused(Generation(1))],
            when: change([:], network: .open), then: .success([.networkChanged(.open)])),
        Row(
            name: "a network before the start", given: requested, when: change([:], network: narrow),
            then: .failure(.notRunningYet)),
        Row(name: "pause nothing", given: [], when: .pause, then: .failure(.absent)),
        Row(name: "pause before the start", given: requested, when: .pause, then: .failure(.notRunningYet)),
        Row(name: "pause", given: running, when: .pause, then: .success([.paused(Generation(1))])),
        Row(name: "pause twice", given: paused, when: .pause, then: .success([])),
        Row(name: "pause the ended", given: ended, when: .pause, then: .failure(.ended(.deleted))),
        Row(name: "resume nothing", given: [], when: .resume(at: t0), then: .failure(.absent)),
        Row(name: "resume before the start", given: requested, when: .resume(at: t0), then: .failure(.notRunningYet)),
        Row(name: "resume", given: paused, when: .resume(at: t0), then: .success([.resumed(place(1))])),
        Row(name: "resume what runs", given: running, when: .resume(at: t0), then: .success([])),
        Row(name: "resume the ended", given: ended, when: .resume(at: t0), then: .failure(.ended(.deleted))),
        Row(name: "request the paused", given: paused, when: .request(spec, at: t0), then: .failure(.alreadyRequested)),
        Row(
            name: "extend the paused", given: paused, when: extend(10),
            then: .success([.extended(expiresAt: t0 + .seconds(70))])),
        Row(
            name: "the paused starts elsewhere", given: paused, when: .start(place(2, "m2"), at: t0 + .seconds(30)),
            then: .success([.started(place(2, "m2"), expiresAt: t0 + .seconds(60))])),
        Row(
            name: "the paused does not start where it is", given: paused, when: .start(place(1), at: t0),
            then: .failure(.alreadyRunning(place(1)))),
        Row(name: "end the paused", given: paused, when: .end(.expired), then: .success([.ended(.expired)])),
    ]

    static let kept = KeepLimits(usual: .seconds(100), most: .seconds(1000))
    static func stop(at seconds: Int64 = 0) -> Compute.Command { .stop(kept, at: t0 + .seconds(seconds)) }
    static func expire(at seconds: Int64) -> Compute.Command { .expire(kept, at: t0 + .seconds(seconds)) }

    static let stopped = running + [.stopped(Generation(1), deleteAt: t0 + .seconds(100))]

    static let stopsAndStarts: [Row] = [
        Row(name: "stop nothing", given: [], when: stop(), then: .failure(.absent)),
        Row(name: "stop before the start", given: requested, when: stop(), then: .failure(.notRunningYet)),
        Row(name: "stop the ended", given: ended, when: stop(), then: .failure(.ended(.deleted))),
        Row(
            name: "stop what runs", given: running, when: stop(at: 5),
            then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(105))])),
        Row(
            name: "stop what is paused", given: paused, when: stop(),
            then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(100))])),
        Row(name: "stop twice", given: stopped, when: stop(at: 9), then: .success([])),
        Row(
            name: "its own time to be kept", given: lived(ComputeLifecycle(deleteAfterStopped: .seconds(7))),
            when: stop(), then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(7))])),
        Row(
            name: "no longer than the server keeps", given: lived(ComputeLifecycle(deleteAfterStopped: .seconds(7000))),
            when: stop(), then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(1000))])),
        Row(
            name: "a start is a new life", given: stopped, when: .start(place(2, "m2"), at: t0 + .seconds(90)),
            then: .success([.started(place(2, "m2"), expiresAt: t0 + .seconds(150))])),
        Row(
            name: "no start of the same generation", given: stopped, when: .start(place(1), at: t0),
            then: .failure(.generationIsPast)),
        Row(
            name: "request the stopped", given: stopped, when: .request(spec, at: t0), then: .failure(.alreadyRequested)
        ),
        Row(name: "pause the stopped", given: stopped, when: .pause, then: .failure(.stopped)),
        Row(name: "resume the stopped", given: stopped, when: .resume(at: t0), then: .failure(.stopped)),
        Row(name: "extend the stopped", given: stopped, when: extend(10), then: .failure(.stopped)),
        Row(
            name: "the stopped has no lifetime to change", given: stopped, when: change([:], timeout: 10),
            then: .failure(.stopped)),
        Row(
            name: "change the stopped's metadata", given: stopped, when: change(["a": .null]),
            then: .success([.metadataChanged([:])])),
        Row(
            name: "how long the stopped is kept counts from its change", given: stopped,
            when: lifecycle(nil, 20, at: 50),
            then: .success([
                .lifecycleChanged(ComputeLifecycle(deleteAfterStopped: .seconds(20)), deleteAt: t0 + .seconds(70))
            ])),
        Row(
            name: "what becomes of it changes nothing else", given: running, when: lifecycle(.stop, 20, at: 50),
            then: .success([.lifecycleChanged(ComputeLifecycle(onExpiry: .stop, deleteAfterStopped: .seconds(20)))])),
        Row(
            name: "the part that is not said stays", given: lived(ComputeLifecycle(deleteAfterStopped: .seconds(7))),
            when: lifecycle(.pause, nil),
            then: .success([.lifecycleChanged(ComputeLifecycle(onExpiry: .pause, deleteAfterStopped: .seconds(7)))])),
        Row(
            name: "the same lifecycle is no change", given: lived(ComputeLifecycle(onExpiry: .stop)),
            when: lifecycle(.stop, nil), then: .success([])),
        Row(name: "end the stopped", given: stopped, when: .end(.deleted), then: .success([.ended(.deleted)])),
    ]

    static let expiries: [Row] = [
        Row(name: "nothing is over yet", given: running, when: expire(at: 59), then: .success([])),
        Row(name: "over, and deleted", given: running, when: expire(at: 60), then: .success([.ended(.expired)])),
        Row(name: "paused, over and deleted", given: paused, when: expire(at: 60), then: .success([.ended(.expired)])),
        Row(
            name: "over, and stopped", given: lived(stops), when: expire(at: 60),
            then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(160))])),
        Row(
            name: "paused, over and stopped", given: lived(stops) + [.paused(Generation(1))], when: expire(at: 60),
            then: .success([.stopped(Generation(1), deleteAt: t0 + .seconds(160))])),
        Row(
            name: "over, and paused", given: lived(pauses), when: expire(at: 60),
            then: .success([.paused(Generation(1), deleteAt: t0 + .seconds(160))])),
        Row(
            name: "paused before, and now over", given: lived(pauses) + [.paused(Generation(1))], when: expire(at: 60),
            then: .success([.paused(Generation(1), deleteAt: t0 + .seconds(160))])),
        Row(name: "paused for being over is kept", given: over, when: expire(at: 159), then: .success([])),
        Row(name: "but not for ever", given: over, when: expire(at: 160), then: .success([.ended(.expired)])),
        Row(name: "the stopped is kept", given: stopped, when: expire(at: 99), then: .success([])),
        Row(name: "not for ever", given: stopped, when: expire(at: 100), then: .success([.ended(.expired)])),
        Row(
            name: "whose life was over resumes into a new one", given: over, when: .resume(at: t0 + .seconds(100)),
            then: .success([.resumed(place(1)), .expiryChanged(expiresAt: t0 + .seconds(160))])),
        Row(
            name: "whose life was over is extended from now on", given: over, when: extend(10, at: 100),
            then: .success([.extended(expiresAt: t0 + .seconds(110))])),
        Row(
            name: "and then it is over again", given: over + [.extended(expiresAt: t0 + .seconds(110))],
            when: expire(at: 110), then: .success([.paused(Generation(1), deleteAt: t0 + .seconds(210))])),
        Row(
            name: "how long it is kept counts from its change", given: over, when: lifecycle(nil, 20, at: 100),
            then: .success([
                .lifecycleChanged(
                    ComputeLifecycle(onExpiry: .pause, deleteAfterStopped: .seconds(20)), deleteAt: t0 + .seconds(120))
            ])),
        Row(name: "nothing becomes of the ended", given: ended, when: expire(at: 1000), then: .success([])),
        Row(name: "nor of the requested", given: requested, when: expire(at: 1000), then: .success([])),
    ]

    private static let stops = ComputeLifecycle(onExpiry: .stop)
    private static let pauses = ComputeLifecycle(onExpiry: .pause)
    private static let over = lived(pauses) + [.paused(Generation(1), deleteAt: t0 + .seconds(160))]

    static func lived(_ lifecycle: ComputeLifecycle) -> [ComputeEvent] {
        var spec = spec
        spec.lifecycle = lifecycle
        return [.requested(spec, at: t0), .started(place(1), expiresAt: t0 + .seconds(60))]
    }

    static func lifecycle(
        _ onExpiry: ComputeLifecycle.Expiry?, _ seconds: Int64?, at: Int64 = 0
    ) -> Compute.Command {
        .change(
            ComputeChange(
                maximumMetadataBytes: 100, onExpiry: onExpiry, deleteAfterStopped: seconds.map { .seconds($0) },
                keepLimits: kept), at: t0 + .seconds(at))
    }

    static func change(
        _ metadata: [String: JSONValue], timeout: Int64? = nil, network: NetworkPolicy? = nil, at: Int64 = 0
    ) -> Compute.Command {
        .change(
            ComputeChange(
                metadata: metadata, maximumMetadataBytes: 100, timeout: timeout.map { .seconds($0) }, network: network),
            at: t0 + .seconds(at))
    }

    static func extend(_ seconds: Int64, maximum: Int64 = 86_400, at: Int64 = 0) -> Compute.Command {
        .extend(by: .seconds(seconds), maximum: .seconds(maximum), at: t0 + .seconds(at))
    }

    @Test(arguments: table + changesAndPauses + stopsAndStarts + expiries) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(Compute.Rejection) in
            try Compute.decide(row.when, Compute.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test func randomWalksKeepTheInvariants() throws {
        for seed in (0..<200).map({ _ in UInt64.random(in: .min ... .max) }) { try walk(seed) }
    }

    private func walk(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let stream = StreamID.compute(.random())
        var spec = spec
        spec.granted = ComputeResources(diskBytes: 64 << 20)
        var state = Compute.initial
        var row: ComputeSummary?
        var log: [RecordedEvent] = []
        var now = t0
        var expiry: WallTime?
        var (living, storage) = (0, Int64(0))
        for step in 0..<60 {
            now = now + .seconds(Int64.random(in: 0...20, using: &random))
            let command: Compute.Command =
                switch Int.random(in: 0...17, using: &random) {
                case 0, 1: .request(spec, at: now)
                case 2, 3, 4: .start(place(Int.random(in: 1...4, using: &random)), at: now)
                case 5, 6, 7:
                    .extend(by: .seconds(Int64.random(in: -5...50, using: &random)), maximum: .seconds(100), at: now)
                case 10, 11: .pause
                case 14, 15: .stop(Self.kept, at: now)
                case 16: .expire(Self.kept, at: now)
                case 17:
                    Self.lifecycle(.allCases.randomElement(using: &random), Int64.random(in: 1...50, using: &random))
                case 12: .resume(at: now)
                case 13:
                    Self.change(["n": [.int(Int64(step)), .null].randomElement(using: &random)!])
                case 8: .end(EndReason.allCases.randomElement(using: &random)!)
                default: .extend(by: .zero, maximum: .zero, at: now)
                }
            guard let events = try? Compute.decide(command, state) else { continue }
            let commit = Commit.compute(
                ComputeID(stream.id)!, in: .default, expectedVersion: log.count, before: state, events: events,
                metadata: .system, at: now)
            let moves = commit.counterMoves.filter { $0.counter == .computes(in: .default) }
            living += moves.reduce(0) { $0 + Int($1.delta) }
            storage += commit.counterMoves.filter { $0.counter == Quota.storageMiB.counter(in: .default) }
                .reduce(0) { $0 + $1.delta }
            for event in events {
                if case .ended = state { Issue.record("an event after the end, seed \(seed), step \(step)") }
                state = Compute.evolve(state, event)
                let recorded = RecordedEvent(
                    position: Int64(log.count) + 1, stream: stream, version: log.count + 1, group: .default,
                    type: event.recorded.type, data: event.recorded.data, metadata: .system, occurredAt: now)
                log.append(recorded)
                row = try ComputeSummary.applying(recorded, to: row)
            }
            switch state {
            case .absent, .requested, .ended: break
            case .stopped(let spec, let generation, let deleteAt):
                #expect(
                    row?.metadata == spec.metadata && row?.lifecycle == spec.lifecycle, "seed \(seed), step \(step)")
                #expect(row?.generation == generation && row?.placement == nil, "seed \(seed), step \(step)")
                #expect(row?.expiresAt == deleteAt && row?.openSpan(until: now) == nil, "seed \(seed), step \(step)")
                expiry = nil
            case .paused(_, let placement, let expiresAt, isOver: true):
                #expect(row?.placement == placement && row?.expiresAt == expiresAt, "seed \(seed), step \(step)")
                expiry = nil
            case .running(let spec, let placement, let expiresAt),
                .paused(let spec, let placement, let expiresAt, isOver: false):
                #expect(row?.metadata == spec.metadata, "seed \(seed), step \(step)")
                #expect(expiry.map { $0 <= expiresAt } ?? true, "seed \(seed), step \(step)")
                #expect(row?.placement == placement && row?.expiresAt == expiresAt, "seed \(seed), step \(step)")
                expiry = expiresAt
            }
            #expect(row?.version ?? 0 == log.count, "seed \(seed), step \(step)")
            #expect(try Compute.state(after: log) == state, "seed \(seed), step \(step)")
            let expected: ComputeSummary.State? =
                switch state {
                case .absent: nil
                case .requested: .requested
                case .running: .running
                case .paused: .paused
                case .stopped: .stopped
                case .ended: .ended
                }
            #expect(row?.state == expected, "seed \(seed), step \(step)")
            let hasPlace = expected.map { $0 != .ended && $0 != .stopped } ?? false
            #expect(living == (hasPlace ? 1 : 0), "seed \(seed), step \(step)")
            #expect(storage == (expected == nil || expected == .ended ? 0 : 64), "seed \(seed), step \(step)")
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
