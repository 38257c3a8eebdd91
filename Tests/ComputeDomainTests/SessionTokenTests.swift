import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

private let compute = ComputeID("abcdefgh12345678wxyz")!
private let link = MagicLinkID("linklinklink12345678")!
private let session = SessionID("sessionsession123456")!
private let grant = SessionGrant(
    computeID: compute, description: "for the browser", magicLink: link, createdAt: t0, lifetime: .seconds(60))

struct SessionTokenTests {
    typealias Outcome = Result<[SessionTokenEvent], SessionToken.Rejection>
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [SessionTokenEvent]
        var when: SessionToken.Command
        var then: Outcome
        var testDescription: String { name }
    }

    static let active = [SessionTokenEvent.created(grant)]
    static let over = SessionTokenEvent.revoked(compute, expiresAt: t0 + .seconds(60))
    static let table: [Row] = [
        Row(name: "create", given: [], when: .create(grant), then: .success(active)),
        Row(name: "create twice", given: active, when: .create(grant), then: .failure(.alreadyCreated)),
        Row(name: "create the revoked", given: active + [over], when: .create(grant), then: .failure(.alreadyCreated)),
        Row(name: "revoke nothing", given: [], when: .revoke(at: t0), then: .failure(.absent)),
        Row(name: "revoke", given: active, when: .revoke(at: t0), then: .success([over])),
        Row(
            name: "revoke in the last moment", given: active,
            when: .revoke(at: WallTime(milliseconds: 1_800_000_059_999)),
            then: .success([over])),
        Row(name: "revoke the expired", given: active, when: .revoke(at: t0 + .seconds(60)), then: .success([])),
        Row(name: "revoke twice", given: active + [over], when: .revoke(at: t0), then: .success([])),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(SessionToken.Rejection) in
            try SessionToken.decide(row.when, SessionToken.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test func eventsThatFitNoStateChangeNothing() {
        #expect(SessionToken.replay([Self.over]) == .absent)
        #expect(SessionToken.replay(Self.active + Self.active) == .active(grant))
        #expect(SessionToken.replay(Self.active + [Self.over] + Self.active) == .revoked(grant))
    }

    @Test func aTokensTimesAreWholeSeconds() {
        let grant = SessionGrant(
            computeID: compute, createdAt: WallTime(milliseconds: 1_800_000_000_999), lifetime: .seconds(1))
        #expect(grant.createdAt.milliseconds == 1_800_000_000_000 && grant.expiresAt.milliseconds == 1_800_000_001_000)
    }

    @Test func eventsComeBackFromTheLog() throws {
        let plain = SessionGrant(computeID: compute, createdAt: t0, lifetime: .seconds(1))
        for event in Self.active + [Self.over, .created(plain)] {
            #expect(try SessionTokenEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
        #expect(try SessionTokenEvent(type: "SessionTokenPainted", data: .null) == nil)
        for data in [JSONValue.null, .object([:]), .object(["computeId": .string("x"), "expiresAt": .string("y")])] {
            for type in SessionTokenEvent.TypeName.allCases {
                let error = #expect(throws: EventStoreError.self) {
                    try SessionTokenEvent(type: type.rawValue, data: data)
                }
                #expect(error?.code == .corrupt)
            }
        }
    }
}

struct MagicLinkTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var given: [MagicLinkEvent]
        var when: MagicLink.Command
        var then: Result<[MagicLinkEvent], MagicLink.Rejection>
        var testDescription: String { name }
    }

    static let open = [MagicLinkEvent.created(compute, expiresAt: t0 + .seconds(300))]
    static let used = MagicLinkEvent.used(compute, session: session)
    static func use(at seconds: Int = 0, on id: ComputeID = compute) -> MagicLink.Command {
        .use(on: id, session: session, at: t0 + .seconds(seconds))
    }

    static let table: [Row] = [
        Row(
            name: "create", given: [], when: .create(compute, expiresAt: t0 + .seconds(300)), then: .success(open)),
        Row(
            name: "create twice", given: open, when: .create(compute, expiresAt: t0),
            then: .failure(.alreadyCreated)),
        Row(name: "use nothing", given: [], when: use(), then: .failure(.absent)),
        Row(name: "use", given: open, when: use(at: 299), then: .success([used])),
        Row(name: "use the expired", given: open, when: use(at: 300), then: .failure(.expired)),
        Row(name: "use twice", given: open + [used], when: use(), then: .failure(.used)),
        Row(
            name: "use at another compute's address", given: open,
            when: use(on: ComputeID("zzzzzzzz00000000zzzz")!), then: .failure(.ofAnotherCompute)),
    ]

    @Test(arguments: table) func givenEventsACommandLeadsTo(row: Row) {
        let decided = Result { () throws(MagicLink.Rejection) in
            try MagicLink.decide(row.when, MagicLink.replay(row.given))
        }
        #expect(decided == row.then)
    }

    @Test func eventsComeBackFromTheLog() throws {
        for event in Self.open + [Self.used] {
            #expect(try MagicLinkEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
        #expect(try MagicLinkEvent(type: "Other", data: .null) == nil)
        #expect(throws: EventStoreError.self) { try MagicLinkEvent(type: "MagicLinkUsed", data: .object([:])) }
    }

    @Test func theRowOfALinkTellsItAndNothingElseDoes() {
        let row = PrivateRow.magicLink(hash: "h", id: link, in: .default, redirect: "/play/", expiresAt: t0)
        #expect(row.magicLink?.id == link && row.magicLink?.redirect == "/play/" && row.expiresAt == t0)
        #expect(PrivateRow.apiKey(hash: "h", keyID: "k", in: .default).magicLink == nil)
    }
}
