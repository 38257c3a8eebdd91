package import ComputeCore
package import EventSourcing

extension StreamID {
    package static let templateCategory = "template"
    package static func template(_ id: TemplateID) -> StreamID {
        StreamID(category: templateCategory, id: id.rawValue)
    }
}

extension UniqueKey {
    /// What the name of a template is held by.
    package static func template(_ name: String, in group: GroupID) -> UniqueKey {
        UniqueKey(group: group, scope: "template", key: name)
    }
}

extension CounterName {
    /// How many templates the group has.
    package static func templates(in group: GroupID) -> CounterName { CounterName(group: group, name: "templates") }
}

extension Commit {
    /// The commit of what was decided for one template, with what moves in the same transaction: its name and the
    /// group's counter.
    ///
    /// - Parameters:
    ///   - before: the state that `events` were decided on.
    ///   - limit: how many the group may have; checked only when one is created.
    package static func template(
        _ id: TemplateID, in group: GroupID, expectedVersion: Int, before: Template.State, events: [TemplateEvent],
        limit: Int64? = nil, standing: Standing? = nil, metadata: EventMetadata, at occurredAt: WallTime
    ) -> Commit {
        var commit = Commit(
            appends: [
                StreamAppend(
                    stream: .template(id), group: group, expectedVersion: expectedVersion,
                    events: events.map(\.recorded))
            ], standing: standing, metadata: metadata, occurredAt: occurredAt)
        func take(_ name: String) {
            commit.takes.append(UniqueHold(key: .template(name, in: group), owner: id.rawValue))
        }
        func release(_ name: String) {
            commit.releases.append(UniqueRelease(key: .template(name, in: group), owner: id.rawValue))
        }
        var state = before
        for event in events {
            let name = state.spec?.name
            switch event {
            case .created(let spec):
                take(spec.name)
                commit.counterMoves.append(CounterMove(counter: .templates(in: group), delta: 1, limit: limit))
            case .revised(let spec, _):
                guard let name, name != spec.name else { break }
                release(name)
                take(spec.name)
            case .deleted:
                guard let name else { break }
                release(name)
                commit.counterMoves.append(CounterMove(counter: .templates(in: group), delta: -1))
            }
            state = Template.evolve(state, event)
        }
        return commit
    }
}

extension Template.State {
    /// What it says; nil before and after its life.
    package var spec: TemplateSpec? {
        switch self {
        case .absent, .deleted: nil
        case .present(let spec, _): spec
        }
    }
}
