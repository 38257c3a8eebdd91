import AsyncHTTPClient
import ComputeCore
package import ComputeDomain
import NIOCore
import NIOHTTP1

/// Posts to hosts that people named.
///
/// ```
///   host ──▶ addresses ──▶ rules ──▶ the allowed ones ──▶ dial that address, not the name
/// ```
/// The name is asked for once per attempt, and what was checked is what is dialled: a name that answers otherwise a moment
/// later has nothing of it. Redirects are not followed, since they would lead anywhere.
package struct HTTPWebhookSender: WebhookSender {
    /// For one attempt with everything that belongs to it.
    package static let deadline: Duration = .seconds(10)
    private static let resolveDeadline: Duration = .seconds(4)
    /// How many addresses of a host are tried: one may be down, or of a family that this machine does not speak.
    private static let maxAddresses = 3

    private let rules: DestinationRules
    private let resolver: any HostResolver

    package init(rules: DestinationRules, resolver: any HostResolver) {
        self.rules = rules
        self.resolver = resolver
    }

    package func refusal(of url: WebhookURL) async -> String? {
        do throws(WebhookFailure) {
            _ = try await destinations(of: url)
            return nil
        } catch {
            // A name that nobody knows yet is no reason to refuse a webhook.
            return error.text == Self.unknownHost ? nil : error.text
        }
    }

    package func send(_ message: WebhookMessage, to url: WebhookURL) async throws(WebhookFailure) -> Int {
        let end = ContinuousClock.now + Self.deadline
        var failure = WebhookFailure(Self.unknownHost)
        for address in try await destinations(of: url).prefix(Self.maxAddresses) {
            let left = end - .now
            guard left > .zero, !Task.isCancelled else { break }
            do throws(WebhookFailure) {
                return try await post(message, to: url, at: address, within: left)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    // MARK: - Where to

    private static let unknownHost = "the host has no address"

    /// - Returns: at least one address that may be dialled.
    private func destinations(of url: WebhookURL) async throws(WebhookFailure) -> [IPAddress] {
        let found: [IPAddress]
        if let address = IPAddress(url.host) {
            found = [address]
        } else {
            let resolver = resolver
            guard let answer = await withDeadline(Self.resolveDeadline, { try await resolver.addresses(of: url.host) })
            else { throw WebhookFailure("nobody said in time which address the host has") }
            found = answer
        }
        guard !found.isEmpty else { throw WebhookFailure(Self.unknownHost) }
        let allowed = await rules.allowed(of: found)
        // Which address it was is not said: it may be one that the asker could not find out himself.
        guard !allowed.isEmpty else { throw WebhookFailure("the host's address is not on the public internet") }
        if url.isSecure { return allowed }
        let listed = allowed.filter { rules.isListed($0) }
        guard !listed.isEmpty else { throw WebhookFailure("the public internet is only spoken to over https") }
        return listed
    }

    // MARK: - One attempt

    private func post(_ message: WebhookMessage, to url: WebhookURL, at address: IPAddress, within limit: Duration)
        async throws(WebhookFailure) -> Int
    {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(4), read: .seconds(10)))
        // The name stays in `Host` and is what the certificate is checked against; the address is the one dialled.
        if IPAddress(url.host) == nil { configuration.dnsOverride = [url.host: address.description] }
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        // A client of its own, so that no connection of another attempt, with an address of then, is used again.
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        var request = HTTPClientRequest(url: url.text)
        request.method = .POST
        request.headers = [
            "content-type": "application/json", "user-agent": "computesdk-webhooks", "webhook-id": message.id,
            "webhook-timestamp": String(message.timestamp.milliseconds / 1000),
            "webhook-signature": message.signature,
        ]
        request.body = .bytes(ByteBuffer(bytes: message.body))
        let result: Result<Int, WebhookFailure>
        do {
            // The status is the answer; a body is not read.
            let response = try await http.execute(
                request, timeout: .milliseconds(max(limit.wholeMilliseconds, 1)))
            result = .success(Int(response.status.code))
        } catch {
            result = .failure(WebhookFailure(Self.text(of: error)))
        }
        try? await http.shutdown()
        return try result.get()
    }

    /// In our words: what a library says may hold addresses.
    private static func text(of error: any Error) -> String {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout: "the receiver could not be reached in time"
            case .deadlineExceeded, .readTimeout, .cancelled: "the receiver did not answer in time"
            case .remoteConnectionClosed: "the receiver closed the connection"
            default: "the receiver could not be spoken to"
            }
        case is CancellationError: "the server is shutting down"
        default: "the receiver could not be reached"
        }
    }

    /// Returns at the deadline also when the work cannot be stopped, which a task group would wait for.
    /// - Returns: nil when it failed or took too long.
    private func withDeadline<T: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> T
    ) async -> T? {
        let (results, end) = AsyncStream.makeStream(of: Optional<T>.self)
        let asking = Task { end.yield(try? await work()) }
        let waiting = Task {
            try? await Task.sleep(for: limit)
            end.yield(nil)
        }
        defer {
            asking.cancel()
            waiting.cancel()
        }
        for await result in results { return result }
        return nil
    }
}
