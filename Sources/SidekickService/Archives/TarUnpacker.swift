import Archives
import ComputeCore

/// Unpacks tar and tar.gz as they arrive.
struct TarUnpacker: ~Copyable {
    private var target: UnpackTarget
    private var reader = TarReader()
    private var inflater: Inflater?
    private var isContentWanted = false

    init(_ target: consuming UnpackTarget, gzip: Bool) {
        self.target = target
        if gzip { inflater = Inflater(.gzip) }
    }

    mutating func take(_ bytes: ArraySlice<UInt8>) throws(Problem) {
        var rest = bytes
        guard inflater != nil else { return try read(&rest) }
        while let piece = try inflate(&rest) {
            var expanded = piece[...]
            try read(&expanded)
        }
    }

    mutating func finish() throws(Problem) -> UnpackOutcome {
        do throws(ArchiveError) {
            try inflater?.finish()
            try reader.finish()
        } catch { throw UnpackTarget.problem(error) }
        try target.finish()
        return target.outcome
    }

    private mutating func inflate(_ input: inout ArraySlice<UInt8>) throws(Problem) -> [UInt8]? {
        do throws(ArchiveError) { return try inflater?.next(&input) } catch { throw UnpackTarget.problem(error) }
    }

    private mutating func read(_ input: inout ArraySlice<UInt8>) throws(Problem) {
        while let event = try event(&input) {
            switch event {
            case .entry(let entry):
                isContentWanted = entry.kind == .file
                try target.begin(entry)
            case .content(let bytes): if isContentWanted { try target.write(bytes) }
            case .entryEnded: if isContentWanted { try target.end() }
            case .ended: break
            }
        }
    }

    private mutating func event(_ input: inout ArraySlice<UInt8>) throws(Problem) -> TarReader.Event? {
        do throws(ArchiveError) { return try reader.next(&input) } catch { throw UnpackTarget.problem(error) }
    }
}
