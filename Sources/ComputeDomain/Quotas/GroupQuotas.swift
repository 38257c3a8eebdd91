package import ComputeCore

/// How much a group may have of what is limited; of what is absent, as much as is usual.
package struct GroupQuotas: Hashable, Sendable {
    /// In the units of the counters.
    private var limits: [Quota: Int64] = [:]

    package init() {}

    package init(_ limits: [Quota: Int64]) { self.limits = limits }

    /// In the unit of the counter: thousandths of processors.
    package subscript(_ quota: Quota) -> Int64? {
        get { limits[quota] }
        set { limits[quota] = newValue }
    }

    /// `self` where it says something, else `other`.
    package func over(_ other: GroupQuotas) -> GroupQuotas {
        GroupQuotas(limits.merging(other.limits) { own, _ in own })
    }
}

extension GroupQuotas {
    /// Above everything that a machine has, and far from what a counter can hold.
    package static let range: ClosedRange<Int64> = 0...1_000_000_000
    package static let cpuRange: ClosedRange<Double> = 0...1_000_000
    package static let leastCPUs = 0.001

    /// As clients and events write it.
    package var document: [String: JSONValue] {
        Dictionary(uniqueKeysWithValues: limits.map { ($0.key.rawValue, $0.key.value($0.value)) })
    }

    /// Fields of a newer version are passed over.
    package init(_ fields: FieldReader) throws(Problem) {
        for quota in Quota.allCases {
            switch quota {
            case .cpus:
                guard let cpus = try fields.number(quota.rawValue, in: Self.cpuRange) else { continue }
                // Less would be none at all, which is something else.
                guard cpus == 0 || cpus >= Self.leastCPUs else {
                    let path = fields.path(quota.rawValue)
                    throw .invalid(path, "\(path) must be 0 or at least \(Self.leastCPUs)")
                }
                limits[quota] = Int64((cpus * Double(quota.unit)).rounded())
            case .computes, .memoryMiB, .storageMiB, .createsPerMinute, .poolMembers:
                limits[quota] = try fields.integer(quota.rawValue, in: Self.range)
            }
        }
    }
}

extension Quota {
    /// What the counter says, as clients read it.
    package func value(_ counted: Int64) -> JSONValue {
        unit == 1 ? .int(counted) : .double(Double(counted) / Double(unit))
    }
}
