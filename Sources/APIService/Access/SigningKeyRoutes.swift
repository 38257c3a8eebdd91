import APIContract
import Auth
import ComputeCore
import EventSourcing
import HTTPTypes
import Hummingbird
import Logging

/// `/.well-known/jwks.json` for whoever checks tokens of ours, and `/v1/signing-keys` for who runs the system.
struct SigningKeyRoutes: Sendable {
    let signer: TokenSigner
    let rotation: SigningKeyRotation
    let clock: any WallClock

    func addPublic(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: published]).add("/.well-known/jwks.json", to: router)
    }

    func add(to router: some RouterMethods<APIRequestContext>) {
        RouteHandlers([.get: list, .post: rotate]).add("/v1/signing-keys", to: router)
    }

    @Sendable func published(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        var response = try Answer.json(JSONWebKeySet(signer.publicKeys))
        response.headers[.cacheControl] = "public, max-age=\(SigningKeys.cacheLifetime.components.seconds)"
        return response
    }

    @Sendable func list(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let now = clock.now()
        let current = signer.keys.current(at: now).publicKey
        let keys = signer.keys.all.reversed().map { key -> JSONValue in
            let state = key.publicKey == current ? "signing" : now < key.from ? "announced" : "retired"
            return .object([
                "kid": .string(key.publicKey.kid), "state": .string(state), "from": .string(key.from.rfc3339),
            ])
        }
        return try Answer.json(SuccessList(keys, next: nil))
    }

    @Sendable func rotate(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let order = try RotateSigningKeys(try await request.document())
        let caller = try context.authenticated()
        try await rotation.rotate(withdrawsOld: order.withdrawsOld, by: caller.metadata)
        context.logger.notice(
            "signing keys were rotated",
            metadata: ["actor": "\(caller.metadata.actor)", "withdraw": "\(order.withdrawsOld)"])
        return try await list(request, context)
    }
}

/// RFC 7517 and 8037.
struct JSONWebKeySet: Encodable, Sendable {
    struct Key: Encodable, Sendable {
        var kty = "OKP"
        var crv = "Ed25519"
        var use = "sig"
        var alg = "EdDSA"
        var kid: String
        var x: String
    }
    var keys: [Key]

    init(_ keys: [TokenPublicKey]) { self.keys = keys.map { Key(kid: $0.kid, x: $0.x) } }
}
