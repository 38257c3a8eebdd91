import ComputeCore
import SidekickProtocol
import SidekickService
import Testing

struct ClaimStateTests {
    static func record(_ id: String, body: String = "b") -> ClaimRecord {
        ClaimRecord(
            order: ClaimOrder(
                computeId: ComputeID(id)!, generation: .first, secret: "0123456789abcdef", env: [:], directory: nil,
                url: "http://x", portURLTemplate: nil),
            bodySHA256: body)
    }
    let mine = Self.record("aaaaaaaaaaaaaaaaaaaa")
    let other = Self.record("bbbbbbbbbbbbbbbbbbbb")

    @Test func firstClaimIsRecordedBeforeItIsClaimed() {
        var state = ClaimState.unclaimed
        #expect(state.claimRequested(mine) == .record(mine))
        #expect(state.claimed == nil)
        state.recorded()
        #expect(state.claimed == mine)
    }

    @Test func theSameClaimAgainIsFineAndAnyOtherIsNot() {
        var state = ClaimState.claimed(mine)
        #expect(state.claimRequested(mine) == .answerClaimed)
        #expect(state.claimRequested(other) == .answerAlreadyClaimed)
        #expect(state.claimRequested(Self.record("aaaaaaaaaaaaaaaaaaaa", body: "c")) == .answerAlreadyClaimed)
        state.recordFailed()
        #expect(state.claimed == mine)
    }

    @Test func failedWriteLeavesTheMemberUnclaimed() {
        var state = ClaimState.unclaimed
        _ = state.claimRequested(mine)
        #expect(state.claimRequested(other) == .waitForRecording)
        state.recordFailed()
        #expect(state.claimRequested(other) == .record(other))
    }

    @Test func recordedWithoutARequestChangesNothing() {
        var state = ClaimState.unclaimed
        state.recorded()
        #expect(state == .unclaimed)
    }
}
