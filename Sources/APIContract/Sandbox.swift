package import ComputeCore

/// A compute as the public clients know it: the `data` of every answer under `/v1/sandboxes`.
package struct Sandbox: Codable, Hashable, Sendable {
    package var sandboxId: ComputeID
    /// The Sidekick's public base, without a trailing slash.
    package var url: String
    /// An access token for that Sidekick; the same for who asks again within a minute. Absent in lists and once it has ended.
    package var token: String?
    /// Always `computesdk`. The clients' `X-Provider` names what *they* think of us; Python needs the key.
    package var provider: String
    package var status: SandboxStatus
    package var metadata: [String: JSONValue]?
    package var name: String?
    package var namespace: String?
    /// What it has mounted, or had; absent when nothing.
    package var filesystems: [Filesystem]?
    /// What it may reach; absent while that is all that the server lets it reach.
    package var network: NetworkPolicy?
    /// Who reaches its ports; absent while that is whoever knows their URLs.
    package var ports: PortAccess?
    /// What it was made from, also when that is gone or says something else by now; absent for none.
    package var templateId: String?
    package var templateRevision: Int64?
    /// What becomes of it when its time is over; absent for `{"onExpiry":"delete"}` and nothing else.
    package var lifecycle: JSONValue?
    package var createdAt: WallTime
    /// When its time is over. While it is stopped: until when it is kept.
    package var expiresAt: WallTime
    package var endedAt: WallTime?
    /// Why it ended: `deleted`, `expired`, `startFailed`, `lost`, `shutdown`.
    package var endReason: String?

    package static let provider = "computesdk"

    /// One of the group's filesystems, where this compute has it.
    package struct Filesystem: Codable, Hashable, Sendable {
        package var filesystemId: String
        package var name: String
        package var path: String
        package var readOnly: Bool

        package init(id: FilesystemID, name: String, path: String, readOnly: Bool) {
            filesystemId = id.rawValue
            self.name = name
            self.path = path
            self.readOnly = readOnly
        }
    }

    package init(
        sandboxId: ComputeID, url: String, token: String?, status: SandboxStatus, metadata: [String: JSONValue]?,
        name: String?, namespace: String?, filesystems: [Filesystem]? = nil,
        network: NetworkPolicy? = nil, ports: PortAccess? = nil, template: UsedTemplate? = nil,
        lifecycle: ComputeLifecycle = ComputeLifecycle(), createdAt: WallTime, expiresAt: WallTime,
        endedAt: WallTime? = nil, endReason: String? = nil
    ) {
        self.sandboxId = sandboxId
        self.url = url
        self.token = token
        self.provider = Self.provider
        self.status = status
        self.metadata = metadata
        self.name = name
        self.namespace = namespace
        self.filesystems = filesystems
        self.network = network
        self.ports = ports
        templateId = template?.id.rawValue
        templateRevision = template?.revision
        self.lifecycle = lifecycle == ComputeLifecycle() ? nil : lifecycle.document
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.endedAt = endedAt
        self.endReason = endReason
    }
}

extension Sandbox {
    /// What encoding gives. Put together by hand, as this is what most answers are: `Codable` takes several times as long.
    package var document: JSONValue {
        var fields: [String: JSONValue] = [
            "sandboxId": .string(sandboxId.rawValue), "url": .string(url), "provider": .string(provider),
            "status": .string(status.rawValue), "createdAt": .string(createdAt.rfc3339),
            "expiresAt": .string(expiresAt.rfc3339),
        ]
        fields["token"] = token.map(JSONValue.string)
        fields["metadata"] = metadata.map(JSONValue.object)
        fields["name"] = name.map(JSONValue.string)
        fields["namespace"] = namespace.map(JSONValue.string)
        fields["filesystems"] = filesystems.map { .array($0.map(\.document)) }
        fields["network"] = network?.document
        fields["ports"] = ports?.document
        fields["templateId"] = templateId.map(JSONValue.string)
        fields["templateRevision"] = templateRevision.map(JSONValue.int)
        fields["lifecycle"] = lifecycle
        fields["endedAt"] = endedAt.map { .string($0.rfc3339) }
        fields["endReason"] = endReason.map(JSONValue.string)
        return .object(fields)
    }
}

extension Sandbox.Filesystem {
    fileprivate var document: JSONValue {
        .object([
            "filesystemId": .string(filesystemId), "name": .string(name), "path": .string(path),
            "readOnly": .bool(readOnly),
        ])
    }
}

package enum SandboxStatus: String, Codable, Hashable, Sendable, CaseIterable {
    /// Makes the clients repeat a find; a plain create never answers it.
    case creating
    case running
    /// It stands still until it is resumed.
    case paused
    /// It has its disk and nothing else until it is started.
    case stopped
    case ended
}

/// `POST …/{id}/extend`.
package struct ExtendedSandbox: Codable, Hashable, Sendable {
    package var sandboxId: ComputeID
    package var expiresAt: WallTime

    package init(sandboxId: ComputeID, expiresAt: WallTime) {
        self.sandboxId = sandboxId
        self.expiresAt = expiresAt
    }
}

/// `DELETE …/{id}` answers `{}`: the clients parse every body and fail on an empty one.
package struct EmptyData: Codable, Hashable, Sendable {
    package init() {}
}
