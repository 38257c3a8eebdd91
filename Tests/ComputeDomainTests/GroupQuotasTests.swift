import ComputeCore
import ComputeDomain
import EventSourcing
import Testing

struct GroupQuotasTests {
    private let all = GroupQuotas([
        .computes: 5, .cpus: 2500, .memoryMiB: 4096, .storageMiB: 1 << 20, .createsPerMinute: 0, .poolMembers: 7,
    ])

    /// It would be stored as none at all, and the group could make nothing.
    @Test func lessThanTheLeastPartOfAProcessorIsRefusedAndTheRestIsRounded() throws {
        for (cpus, stored) in [(0.0, 0), (0.001, 1), (0.0014, 1), (0.0016, 2), (1.5, 1500)] as [(Double, Int64)] {
            #expect(try GroupQuotas(FieldReader(["cpus": .double(cpus)]))[.cpus] == stored)
        }
        for cpus in [0.0001, 0.0009] {
            let problem = #expect(throws: Problem.self) { try GroupQuotas(FieldReader(["cpus": .double(cpus)])) }
            #expect(problem?.status == 400 && problem?.field == "cpus")
        }
    }

    @Test func theyReadBackWhatTheyWrote() throws {
        for quotas in [all, GroupQuotas(), GroupQuotas([.cpus: 1])] {
            #expect(try GroupQuotas(FieldReader(quotas.document)) == quotas)
            let event = GroupEvent.quotasChanged(quotas)
            #expect(try GroupEvent(type: event.recorded.type, data: event.recorded.data) == event)
        }
        #expect(all.document["cpus"] == .double(2.5))
    }

    @Test func itsOwnComeBeforeWhatIsUsual() {
        let own = GroupQuotas([.computes: 1])
        #expect(own.over(all)[.computes] == 1 && own.over(all)[.memoryMiB] == 4096)
        #expect(GroupQuotas().over(all) == all)
    }

    @Test func aGroupIsLimitedOnceAndNotWhenItIsNotThere() throws {
        let active = Group.State.active(name: "g", members: [:])
        #expect(try Group.decide(.limit(all), active) == [.quotasChanged(all)])
        let limited = Group.evolve(active, .quotasChanged(all))
        #expect(try Group.decide(.limit(all), limited) == [])
        #expect(try Group.decide(.limit(GroupQuotas()), limited) == [.quotasChanged(GroupQuotas())])
        #expect(throws: Group.Rejection.absent) { try Group.decide(.limit(all), .absent) }
        #expect(throws: Group.Rejection.absent) { try Group.decide(.limit(all), .deleted) }
        // Whatever else happens to a group leaves them.
        #expect(Group.evolve(limited, .renamed(name: "h")) == .active(name: "h", members: [:], quotas: all))
    }

    @Test(arguments: Quota.allCases) func aCounterIsOfOneQuota(quota: Quota) {
        #expect(Quota(quota.counter(in: GroupID("g"))) == quota)
        #expect(Quota(CounterName(group: GroupID("g"), name: "keys")) == nil)
    }
}
