import Auth
import ComputeCore
import Crypto
import FoundationEssentials
import JWTKit
import Synchronization

/// A small OpenID provider, with keys of its own and tokens signed by jwt-kit.
final class TestIssuer: DocumentSource {
    static let url = "https://id.example"

    struct Claims: JWTPayload {
        var iss: String? = TestIssuer.url
        var sub: String? = "mary"
        var aud: [String]? = ["other", "computesdk"]
        var exp: Double?
        var nbf: Double?
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    struct Down: Error {}

    private struct State {
        var keys: [(kid: String, key: ES256PrivateKey)] = []
        var isDown = false
        var fetches = 0
        var metadata: String?
    }
    private let state = Mutex(State())

    init() { rotate("k1") }

    func rotate(_ kid: String) { state.withLock { $0.keys = [(kid, ES256PrivateKey())] } }
    func set(isDown: Bool) { state.withLock { $0.isDown = isDown } }
    func set(metadata: String) { state.withLock { $0.metadata = metadata } }
    var fetches: Int { state.withLock { $0.fetches } }

    func token(
        _ claims: Claims, kid: String? = nil, header: JWTHeader = [:], key: ES256PrivateKey? = nil
    ) async throws -> String {
        let current = state.withLock { $0.keys[0] }
        var header = header
        header.kid = kid ?? current.kid
        return try await JWTKeyCollection().add(ecdsa: key ?? current.key).sign(claims, header: header)
    }

    func document(at url: String) async throws -> [UInt8] {
        try state.withLock { state in
            state.fetches += 1
            guard !state.isDown else { throw Down() }
            if url == Self.url + "/.well-known/openid-configuration" {
                let text = state.metadata ?? #"{"issuer":"\#(Self.url)","jwks_uri":"\#(Self.url)/keys","x":[1]}"#
                return Array(text.utf8)
            }
            guard url == Self.url + "/keys" else { throw Down() }
            // Among keys of kinds that nobody here knows.
            let keys = state.keys.map { kid, key -> String in
                let point = key.publicKey.parameters!
                return """
                    {"kty":"EC","crv":"P-256","alg":"ES256","kid":"\(kid)","use":"sig",
                     "x":"\(Self.base64URL(point.x))","y":"\(Self.base64URL(point.y))"}
                    """
            }
            let others = [#"{"kty":"EC","crv":"secp999","kid":"odd"}"#, #"{"kty":"oct","k":"AAAA","kid":"hmac"}"#, "7"]
            return Array(#"{"keys":[\#((others + keys).joined(separator: ","))]}"#.utf8)
        }
    }

    private static func base64URL(_ text: String) -> String {
        text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
