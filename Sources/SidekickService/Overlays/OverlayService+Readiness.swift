import ComputeCore

extension OverlayService: ServerOverlays {
    package func create(_ overlay: OverlayRequest, in compute: ComputeContext) async throws -> String {
        try await create(overlay, as: compute.user, isAwaited: false).id.rawValue
    }

    package func readiness(of id: String) -> OverlayReadiness? {
        switch (try? get(OverlayID(id)))?.state {
        case nil: nil
        case .pending, .inProgress: .pending
        case .complete: .ready
        case .failed(let reason): .failed(reason)
        }
    }
}

extension OverlayService {
    /// Ready when none is under way.
    var readiness: Readiness {
        let overlays = list()
        return Readiness(
            isReady: overlays.allSatisfy(\.state.isOver),
            isHealthy: overlays.allSatisfy { !$0.state.isOver || $0.state == .complete },
            members: ["overlays": .array(overlays.map { .object(OverlayHandler.summary($0)) })])
    }
}
