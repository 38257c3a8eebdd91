import TestSupport
import Testing

struct InMemoryEventStoreTests {
    @Test(arguments: EventStoreContract.all) func keepsTheContract(clause: EventStoreContract) async throws {
        try await clause.run(InMemoryEventStore())
    }
}
