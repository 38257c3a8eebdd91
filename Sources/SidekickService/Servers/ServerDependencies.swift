import ComputeCore

/// What servers may depend on beside each other: overlays. A port: `SidekickService` joins it with whoever makes them.
package protocol ServerOverlays: Sendable {
    /// Starts making an overlay.
    /// - Returns: its id.
    func create(_ overlay: OverlayRequest, in compute: ComputeContext) async throws -> String

    /// nil: there is no overlay of that id. After each change `ServerService.dependenciesChanged` has to be called.
    func readiness(of id: String) -> OverlayReadiness?
}

package enum OverlayReadiness: Hashable, Sendable {
    case ready
    case pending
    case failed(String)
}

/// Who waits for whom. Pure.
package enum DependencyGraph {
    /// Each behind those that it needs; else as they come. Those in a circle, and what needs them, are last.
    package static func inOrder<Item>(
        _ items: [Item], name: (Item) -> String, needs: (Item) -> [String]
    ) -> [Item] {
        var waiting = items
        var sorted: [Item] = []
        while let next = waiting.firstIndex(where: { item in
            let needed = needs(item)
            return !waiting.contains { needed.contains(name($0)) }
        }) {
            sorted.append(waiting.remove(at: next))
        }
        return sorted + waiting
    }

    /// - Parameter edges: what each server depends on; names that are no server's end a path.
    /// - Returns: a way from `start` back to itself, if there is one.
    package static func cycle(from start: String, _ edges: [String: [String]]) -> [String]? {
        var seen: Set<String> = []
        // Depth first, with the path kept beside: definitions are few, but a chain of them may be long.
        var open: [(name: String, path: [String])] = [(start, [start])]
        while let (name, path) = open.popLast() {
            for next in edges[name] ?? [] {
                if next == start { return path + [start] }
                if seen.insert(next).inserted { open.append((next, path + [next])) }
            }
        }
        return nil
    }
}
