import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

struct AccessTests {
    let now = WallTime(milliseconds: 1_800_000_000_000)

    // MARK: - Authority

    @Test func authorityIsTheLeastOfWhatItStandsOn() {
        let full = Authority(role: .owner)
        let some = Authority(role: .admin, scopes: [.keysRead, .eventsRead], expiresAt: now + .seconds(5))
        let other = Authority(role: .developer, scopes: [.eventsRead, .runtimeRead], expiresAt: now + .seconds(9))
        #expect(full.limited(by: some) == some && some.limited(by: full) == some)
        let both = Authority(role: .developer, scopes: [.eventsRead], expiresAt: now + .seconds(5))
        #expect(some.limited(by: other) == both && other.limited(by: some) == both)
    }

    @Test func nobodyCoversMoreThanHeHas() {
        let time = now + .seconds(5)
        let scopes: [Set<Scope>?] = [nil, [], [.keysRead], [.keysRead, .keysWrite]]
        var all: [Authority] = []
        for role in Role.allCases {
            for set in scopes {
                for end in [nil, now, time] { all.append(Authority(role: role, scopes: set, expiresAt: end)) }
            }
        }
        for one in all {
            #expect(one.covers(one))
            for other in all {
                var isMore = other.role > one.role
                if let mine = one.scopes { isMore = isMore || other.scopes?.isSubset(of: mine) != true }
                if let mine = one.expiresAt { isMore = isMore || (other.expiresAt.map { mine < $0 } ?? true) }
                #expect(one.covers(other) == !isMore, "\(one) \(other)")
            }
        }
    }

    @Test func aScopeAndARoleAreBothNeeded() {
        let confined = Authority(role: .developer, scopes: [.sandboxesRead])
        #expect(confined.permits(.sandboxesRead, atLeast: .viewer) && confined.permits(nil, atLeast: .developer))
        #expect(!confined.permits(.sandboxesRead, atLeast: .admin) && !confined.permits(.eventsRead, atLeast: .viewer))
        #expect(Authority(role: .viewer).permits(.eventsRead, atLeast: .viewer))
        #expect(Role.allCases.sorted() == Role.allCases && Role.viewer < .owner)
    }

    // MARK: - Groups

    func member(_ id: String, _ role: Role, subject: String? = nil) -> GroupMember {
        GroupMember(id: id, subject: Subject(issuer: "i", name: subject ?? id), role: role)
    }

    @Test func aGroupsRulesAreAboutAllItsMembers() throws {
        let active = Group.State.active(
            name: "g", members: ["o": member("o", .owner), "a": member("a", .admin), "v": member("v", .viewer)])
        let table: [(Group.Command, Group.State, Result<[GroupEvent], Group.Rejection>)] = [
            (.create(name: "g"), .absent, .success([.created(name: "g")])),
            (.create(name: "g"), active, .failure(.alreadyCreated)),
            (.rename(name: "x"), .absent, .failure(.absent)),
            (.rename(name: "x"), active, .success([.renamed(name: "x")])),
            (.rename(name: "g"), active, .success([])),
            (.add(member("n", .viewer), by: .admin), active, .success([.memberAdded(member("n", .viewer))])),
            (.add(member("n", .viewer), by: .admin), .absent, .failure(.absent)),
            (.add(member("n", .owner), by: .admin), active, .failure(.aboveOwnRole)),
            (.add(member("n", .viewer, subject: "v"), by: .owner), active, .failure(.alreadyMember(id: "v"))),
            (
                .changeRole(id: "v", role: .admin, by: .admin), active,
                .success([.memberRoleChanged(id: "v", role: .admin, demotions: nil)])
            ),
            (
                .changeRole(id: "a", role: .viewer, by: .admin), active,
                .success([.memberRoleChanged(id: "a", role: .viewer, demotions: 1)])
            ),
            (.changeRole(id: "v", role: .viewer, by: .admin), active, .success([])),
            (.changeRole(id: "v", role: .owner, by: .admin), active, .failure(.aboveOwnRole)),
            (.changeRole(id: "o", role: .viewer, by: .admin), active, .failure(.aboveOwnRole)),
            (.changeRole(id: "o", role: .viewer, by: .owner), active, .failure(.lastOwner)),
            (.changeRole(id: "?", role: .viewer, by: .owner), active, .failure(.noSuchMember)),
            (.remove(id: "a", by: .admin), active, .success([.memberRemoved(id: "a", demotions: 0)])),
            (.remove(id: "o", by: .admin), active, .failure(.aboveOwnRole)),
            (.remove(id: "o", by: .owner), active, .failure(.lastOwner)),
            (.remove(id: "?", by: .owner), active, .failure(.noSuchMember)),
            (.delete, active, .success([.deleted])),
            (.delete, .absent, .failure(.absent)),
            (.delete, .deleted, .failure(.absent)),
            (.create(name: "g"), .deleted, .failure(.alreadyCreated)),
            (.add(member("n", .viewer), by: .owner), .deleted, .failure(.absent)),
        ]
        for (command, state, expected) in table {
            let found = Result<[GroupEvent], Group.Rejection> { () throws(Group.Rejection) in
                try Group.decide(command, state)
            }
            #expect(found == expected, "\(command)")
        }
        let full = Group.State.active(
            name: "g",
            members: Dictionary(
                uniqueKeysWithValues: (0..<Group.maxMembers).map { ("\($0)", member("\($0)", .viewer)) }))
        #expect(throws: Group.Rejection.full) { try Group.decide(.add(member("n", .viewer), by: .owner), full) }
    }

    @Test func whoIsDemotedAgainAndAgainIsNamedAnewEachTime() throws {
        var state = Group.State.active(name: "g", members: ["o": member("o", .owner), "a": member("a", .admin)])
        var origins: [String] = []
        for role in [Role.viewer, .owner, .admin, .developer] {
            for event in try Group.decide(.changeRole(id: "a", role: role, by: .owner), state) {
                #expect(try GroupEvent(type: event.recorded.type, data: event.recorded.data) == event)
                state = Group.evolve(state, event)
            }
            origins.append(Origin(member: "a", demotions: state.members["a"]?.demotions ?? -1).text)
        }
        #expect(origins == ["a000001", "a000001", "a000002", "a000003"])
        #expect(
            try Group.decide(.remove(id: "a", by: .owner), state) == [.memberRemoved(id: "a", demotions: 3)])
    }

    @Test func anOriginIsReadAsWhatItMayName() {
        let id = "mary00000000"
        let plain = Origin.candidates(Origin(member: id, demotions: 0).text)
        #expect(plain.contains { $0.id == AccessRecord.ID(.member, id) && $0.demotions == 0 })
        #expect(!plain.contains { $0.demotions > 0 }, "zeros are no number of demotions")
        let demoted = Origin.candidates(Origin(member: id, demotions: 12).text)
        #expect(demoted.contains { $0.id == AccessRecord.ID(.member, id) && $0.demotions == 12 })
        #expect(Origin.candidates("").allSatisfy { $0.id.id.isEmpty })
    }

    @Test func anAnnouncedSigningKeyIsReadBackAsItWasWritten() throws {
        for event in [SigningKeyEvent.announced(kid: "k-1_x", withdrawsOthers: true)] {
            #expect(try SigningKeyEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
        #expect(throws: EventStoreError.self) { try SigningKeyEvent(type: "SigningKeyAnnounced", data: .object([:])) }
    }

    @Test func randomWalksKeepAnOwnerAndNobodyTwice() throws {
        for seed in 0..<50 as Range<UInt64> {
            var random = SplitMix(state: seed)
            var state = Group.evolve(.absent, .created(name: "g"))
            var hadOwner = false
            for step in 0..<60 {
                let id = "m\(random.next() % 6)"
                let role = Role.allCases[Int(random.next() % 4)]
                let command: Group.Command =
                    switch random.next() % 3 {
                    case 0: .add(member("m\(step)x", role, subject: id), by: .owner)
                    case 1: .changeRole(id: state.members.keys.sorted().first ?? id, role: role, by: .owner)
                    default: .remove(id: state.members.keys.sorted().last ?? id, by: .owner)
                    }
                let events = (try? Group.decide(command, state)) ?? []
                for event in events {
                    #expect(try GroupEvent(type: event.recorded.type, data: event.recorded.data) == event)
                }
                state = events.reduce(state, Group.evolve)
                let members = state.members.values
                #expect(Set(members.map(\.subject)).count == members.count, "seed \(seed)")
                hadOwner = hadOwner || members.contains { $0.role == .owner }
                #expect(!hadOwner || members.contains { $0.role == .owner }, "seed \(seed)")
            }
        }
    }

    struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    // MARK: - Keys and sessions

    @Test func aKeyIsRotatedAnyNumberOfTimesUntilItIsRevoked() throws {
        let grant = KeyGrant(
            id: "k", label: "l", prefix: "p", authority: Authority(role: .admin, scopes: [.keysRead], expiresAt: now),
            member: "m")
        var state = APIKeyLife.evolve(.absent, .created(grant))
        for number in 2...4 {
            let events = try APIKeyLife.decide(.rotate(prefix: "p\(number)", overlapUntil: now), state)
            #expect(events == [.rotated(number: number, prefix: "p\(number)", overlapUntil: now)])
            for event in events + [.created(grant)] {
                #expect(try APIKeyEvent(type: event.recorded.type, data: event.recorded.data) == event)
            }
            state = events.reduce(state, APIKeyLife.evolve)
        }
        guard case .active(let grant, 4) = state else { throw Unexpected() }
        #expect(grant.prefix == "p4" && grant.member == "m")
        #expect(throws: APIKeyLife.Rejection.revoked) {
            try APIKeyLife.decide(.rotate(prefix: "p", overlapUntil: now), .revoked)
        }
        #expect(throws: APIKeyLife.Rejection.absent) {
            try APIKeyLife.decide(.rotate(prefix: "p", overlapUntil: now), .absent)
        }
    }

    @Test func aKeyFromBeforeThereWereRolesIsAnOwners() throws {
        let data = JSONValue.object(["keyID": .string("k"), "label": .string("first"), "prefix": .string("csdk_1")])
        guard case .created(let grant)? = try APIKeyEvent(type: "APIKeyCreated", data: data) else { throw Unexpected() }
        #expect(grant.authority == Authority(role: .owner))
    }

    @Test func aSessionIsMadeOnceAndEndedOnce() throws {
        let grant = APISessionGrant(
            id: "s", owner: AccessRecord.ID(.key, "k"), authority: Authority(role: .viewer, scopes: []),
            description: "d", createdAt: now, expiresAt: now + .seconds(5))
        let active = APISession.evolve(.absent, .created(grant))
        #expect(try APISession.decide(.create(grant), .absent) == [.created(grant)])
        #expect(throws: APISession.Rejection.alreadyCreated) { try APISession.decide(.create(grant), active) }
        #expect(try APISession.decide(.revoke(at: now), active) == [.revoked(expiresAt: grant.expiresAt)])
        #expect(try APISession.decide(.revoke(at: grant.expiresAt), active) == [], "over already")
        #expect(try APISession.decide(.revoke(at: now), .revoked) == [])
        #expect(throws: APISession.Rejection.absent) { try APISession.decide(.revoke(at: now), .absent) }
        for event in [APISessionEvent.created(grant), .revoked(expiresAt: now)] {
            #expect(try APISessionEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
    }

    @Test func anOwnerIsNeverTakenForARecord() {
        for id in [AccessRecord.ID(.key, "k"), .init(.member, "a:b"), .init(.session, "")] {
            #expect(AccessRecord.ID(id.description) == id)
        }
        #expect(AccessRecord.ID(Subject(issuer: "key:x", name: "key:y").ownerText) == nil)
        let pairs = [("a", "b/c"), ("a/b", "c"), ("1:a", "b"), ("", "a/b")]
        #expect(Set(pairs.map { Subject(issuer: $0, name: $1).ownerText }).count == pairs.count)
    }

    struct Unexpected: Error {}
}
