import EventSourcing
import SQLStore
import Testing

struct DatabaseClaimTests {
    private func held() -> DatabaseClaim {
        var claim = DatabaseClaim(isNeeded: true)
        claim.granted()
        return claim
    }

    private func mayWrite(_ claim: DatabaseClaim) -> Bool { (try? claim.requireWriting()) != nil }
    private func mayRead(_ claim: DatabaseClaim) -> Bool { (try? claim.requireReading()) != nil }

    @Test func nobodyWritesWhileTheLockIsNotKnownToBeHeld() {
        var claim = held()
        #expect(claim.isHeld && mayWrite(claim))
        claim.connectionBroke()
        #expect(!claim.isLost && !mayWrite(claim) && mayRead(claim))
        claim.granted()
        #expect(claim.isHeld && mayWrite(claim))
    }

    @Test func whatAnotherInstanceTookIsLostForGood() {
        var claim = held()
        claim.connectionBroke()
        claim.refused(isOwnPredecessor: false)
        #expect(claim.isLost && !mayWrite(claim) && !mayRead(claim))
        claim.granted()
        #expect(claim.isLost, "the other one has ended what was begun here")
    }

    @Test func aConnectionOfOursThatTheServerStillKeepsIsNoOtherInstance() {
        var claim = held()
        claim.connectionBroke()
        claim.refused(isOwnPredecessor: true)
        #expect(!claim.isLost && !mayWrite(claim))
        claim.granted()
        #expect(mayWrite(claim))
    }

    @Test func atTheStartARefusalIsWaitedOut() {
        var claim = DatabaseClaim(isNeeded: true)
        claim.refused(isOwnPredecessor: false)
        #expect(claim.isRefused && !claim.isLost)
        claim.connectionBroke()
        claim.granted()
        #expect(claim.isHeld)
    }

    @Test func aDatabaseForManyIsNeverClaimed() {
        var claim = DatabaseClaim(isNeeded: false)
        claim.connectionBroke()
        claim.granted()
        #expect(!claim.isNeeded && !claim.isHeld && mayWrite(claim) && mayRead(claim))
    }
}
