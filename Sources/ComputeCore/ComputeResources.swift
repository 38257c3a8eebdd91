/// How big a compute is. What is nil is as the template says.
package struct ComputeResources: Hashable, Sendable, Codable {
    /// Processors, as a share of time: 0.5 is half of one.
    package var cpus: Double?
    package var memoryBytes: Int64?
    package var diskBytes: Int64?

    package init(cpus: Double? = nil, memoryBytes: Int64? = nil, diskBytes: Int64? = nil) {
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.diskBytes = diskBytes
    }

    /// `self` where it says something, else `other`.
    package func over(_ other: ComputeResources) -> ComputeResources {
        ComputeResources(
            cpus: cpus ?? other.cpus, memoryBytes: memoryBytes ?? other.memoryBytes,
            diskBytes: diskBytes ?? other.diskBytes)
    }
}

extension ComputeResources {
    /// As clients write it: sizes in MiB.
    package var document: JSONValue {
        var fields: [String: JSONValue] = [:]
        fields["cpus"] = cpus.map(JSONValue.double)
        fields["memoryMiB"] = memoryBytes.map { .int($0 >> 20) }
        fields["diskMiB"] = diskBytes.map { .int($0 >> 20) }
        return .object(fields)
    }

    /// - Throws: naming the field below `resources`, also when nobody knows it: who asks for a size under a wrong name
    ///   would get another one in silence.
    package init(_ fields: [String: JSONValue], prefix: String) throws(Problem) {
        let reader = FieldReader(fields, prefix: prefix)
        for name in fields.keys.sorted() where !["cpus", "memoryMiB", "diskMiB"].contains(name) {
            throw Problem(
                status: 400, code: .unsupportedField,
                message: "\(reader.path(name)) is not known; \(prefix) has cpus, memoryMiB and diskMiB",
                field: reader.path(name))
        }
        // Below a tenth of a processor not even the agent inside answers in time; below 64 MiB it has no room.
        cpus = try reader.number("cpus", in: 0.1...1024)
        memoryBytes = try reader.integer("memoryMiB", in: 64...(1 << 24)).map { $0 << 20 }
        diskBytes = try reader.integer("diskMiB", in: 64...(1 << 24)).map { $0 << 20 }
    }
}
