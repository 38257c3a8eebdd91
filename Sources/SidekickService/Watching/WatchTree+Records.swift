package import LinuxSystem

// What the kernel says, and what becomes of it.

extension WatchTree {
    /// - Parameter records: all that was there to read, in order: what happened in one batch is told as its outcome.
    package mutating func received(_ records: [WatchQueue.Record], now: Duration) -> [Order] {
        var orders: [Order] = []
        for record in records {
            if record.happening == .overflow {
                orders.append(.reportLoss)
                for id in directories.keys.sorted(by: { $0.value < $1.value }) { queue(id, &orders) }
                continue
            }
            guard let id = byWatch[record.watch] else { continue }
            if receive(record, id, now, &orders) { return orders + [.end] }
        }
        tick(now, &orders)
        return orders
    }

    /// Time has passed.
    package mutating func ticked(now: Duration) -> [Order] {
        var orders: [Order] = []
        tick(now, &orders)
        return orders
    }

    /// When `ticked` should be called next; nil: nothing is pending.
    package var nextDeadline: Duration? {
        var earliest: Duration?
        for id in restless {
            for change in (directories[id]?.pending ?? [:]).values {
                earliest = min(earliest ?? change.due, change.due)
            }
        }
        return earliest
    }

    /// - Returns: whether that was the end of the top directory.
    private mutating func receive(
        _ record: WatchQueue.Record, _ id: DirectoryID, _ now: Duration, _ orders: inout [Order]
    ) -> Bool {
        switch record.happening {
        case .overflow: break
        case .selfGone:
            guard id == Self.top else { break }  // its parent says so too
            if only == nil { vanished(id, &orders) }
            return true
        case .ended:
            byWatch[record.watch] = nil
            directories[id]?.watch = nil
            orders.append(.unwatch(record.watch))  // its place is free again
            return id == Self.top
        case .created, .movedTo, .deleted, .movedFrom, .modified, .attributesChanged, .written:
            guard let name = record.name, !name.isEmpty, !isIgnored(id, name) else { break }
            change(record, id, name, now, &orders)
        }
        return false
    }

    private mutating func change(
        _ record: WatchQueue.Record, _ id: DirectoryID, _ name: String, _ now: Duration, _ orders: inout [Order]
    ) {
        switch record.happening {
        case .created: appeared(id, name, isDirectory: record.isDirectory, isWhole: false, now, &orders)
        case .movedTo:
            if case .file = directories[id]?.entries[name], !record.isDirectory {
                // Over what was there before.
                modified(id, name, now)
                directories[id]?.pending[name]?.written(now: now)
            } else {
                appeared(id, name, isDirectory: record.isDirectory, isWhole: true, now, &orders)
            }
        case .deleted, .movedFrom: disappeared(id, name, now, &orders)
        case .modified, .attributesChanged, .written:
            switch directories[id]?.entries[name] {
            case .directory: return  // about a file that was there before it
            case .file: if record.happening != .written { modified(id, name, now) }
            case nil: if !record.isDirectory { met(id, name, now, &orders) }
            }
        case .selfGone, .ended, .overflow: return
        }
        if record.happening == .written { directories[id]?.pending[name]?.written(now: now) }
    }

    // MARK: - Names

    /// - Parameter isWhole: nobody is still writing it.
    mutating func appeared(
        _ id: DirectoryID, _ name: String, isDirectory: Bool, isWhole: Bool, _ now: Duration, _ orders: inout [Order]
    ) {
        switch directories[id]?.entries[name] {
        case .file:
            guard isDirectory else { return }  // found by a scan before the kernel's word of it came
            disappeared(id, name, now, &orders)
        case .directory(let child):
            if isDirectory {
                // The same, or another one in its place, which the word of its end will tell.
                return queue(child, &orders)
            }
            disappeared(id, name, now, &orders)
        case nil: break
        }
        guard mayKeep(id, name, &orders) else { return }
        if isDirectory {
            // A file of that name was there a moment ago.
            if directories[id]?.pending[name]?.what == .unlink { tell(id, name, .unlink, &orders) }
            directories[id]?.pending[name] = nil
            tell(id, name, .addDir, &orders)
            return make(id, name, isOld: false, &orders)
        }
        directories[id]?.entries[name] = .file
        if directories[id]?.pending[name] != nil {
            directories[id]?.pending[name]?.createdAgain(isWhole: isWhole, now: now)
        } else {
            pend(id, name, .created(isWhole: isWhole, now: now, sequence()))
        }
    }

    /// Somebody writes a file that is not known: not listed for want of room, or created while nobody could say so.
    private mutating func met(_ id: DirectoryID, _ name: String, _ now: Duration, _ orders: inout [Order]) {
        let isOld = directories[id]?.isPartial == true
        if isOld {
            // Known from now on, if there is room.
            if mayKeep(id, name, &orders) { directories[id]?.entries[name] = .file }
            modified(id, name, now)
        } else {
            appeared(id, name, isDirectory: false, isWhole: false, now, &orders)
        }
    }

    mutating func modified(_ id: DirectoryID, _ name: String, _ now: Duration) {
        if directories[id]?.pending[name] != nil {
            directories[id]?.pending[name]?.modified(now: now)
        } else {
            pend(id, name, .modified(now: now, sequence()))
        }
    }

    mutating func disappeared(_ id: DirectoryID, _ name: String, _ now: Duration, _ orders: inout [Order]) {
        switch directories[id]?.entries[name] {
        case .directory(let child): vanished(child, &orders)
        case .file:
            directories[id]?.entries[name] = nil
            entryCount -= 1
            if directories[id]?.pending[name]?.what == .add {
                directories[id]?.pending[name] = nil
            } else {
                pend(id, name, .deleted(now: now, sequence()))
            }
        case nil:
            if directories[id]?.isPartial == true { pend(id, name, .deleted(now: now, sequence())) }
        }
    }

    /// A directory is gone, with all that was in it: told from the inside out.
    mutating func vanished(_ id: DirectoryID, _ orders: inout [Order]) {
        guard let directory = directories[id] else { return }
        let gone =
            directory.entries.keys.sorted() + directory.pending.keys.sorted().filter { directory.entries[$0] == nil }
        for name in gone {
            switch directory.entries[name] {
            case .directory(let child): vanished(child, &orders)
            case .file:
                if directory.pending[name]?.what != .add { tell(id, name, .unlink, &orders) }
                entryCount -= 1
            case nil: if directory.pending[name]?.what == .unlink { tell(id, name, .unlink, &orders) }
            }
        }
        if let watch = directory.watch {
            byWatch[watch] = nil
            orders.append(.unwatch(watch))
        }
        orders.append(.tell(FileChange(.unlinkDir, path(id))))
        if let parent = directory.parent {
            directories[parent]?.entries[directory.name] = nil
            entryCount -= 1
        }
        restless.remove(id)
        directories[id] = nil
    }

    // MARK: - Pending changes

    private mutating func pend(_ id: DirectoryID, _ name: String, _ change: PendingChange) {
        directories[id]?.pending[name] = change
        restless.insert(id)
    }

    private func tell(_ id: DirectoryID, _ name: String, _ kind: FileChange.Kind, _ orders: inout [Order]) {
        orders.append(.tell(FileChange(kind, path(id, name))))
    }

    /// Tells what is due, in the order in which it began.
    mutating func tick(_ now: Duration, _ orders: inout [Order]) {
        var due: [(id: DirectoryID, name: String, change: PendingChange)] = []
        for id in restless {
            for (name, change) in directories[id]?.pending ?? [:] where change.due <= now {
                due.append((id, name, change))
            }
        }
        for (id, name, change) in due.sorted(by: { $0.change.sequence < $1.change.sequence }) {
            switch change.what {
            case .add: tell(id, name, .add, &orders)
            case .change: tell(id, name, .change, &orders)
            case .unlink: tell(id, name, .unlink, &orders)
            case .resting: break
            }
            directories[id]?.pending[name] = change.told(now: now)
            if directories[id]?.pending.isEmpty ?? true { restless.remove(id) }
        }
    }
}
