import AsyncHTTPClient
import Auth
import Composition
import ComputeCore
import CryptoExtras
import Foundation
import HTTPServing
import JWTKit
import NIOCore
import NIOHTTP1
import SidekickClient
import Testing

/// The way to an issuer's documents, with a small real one: an HTTP server that publishes what discovery asks for, and
/// tokens signed by jwt-kit.
@Suite(.timeLimit(.minutes(1))) struct ExternalIssuerTests {
    struct Claims: JWTPayload {
        var iss: String
        var sub = "mary"
        var aud = "computesdk"
        var exp: Double = SystemWallClock().seconds + 60
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    struct Handler: HTTPHandler {
        let answer: @Sendable (_ path: String, _ base: String) -> (HTTPResponseStatus, HTTPHeaders, String)
        func handle(_ exchange: HTTPExchange) async throws {
            let base = "http://\(exchange.head.headers["host"].first ?? "")"
            let (status, headers, body) = answer(exchange.head.uri, base)
            try await exchange.respond(status: status, headers: headers, body: ByteBuffer(string: body))
        }
    }

    static func metadata(_ base: String) -> (HTTPResponseStatus, HTTPHeaders, String) {
        (.ok, [:], #"{"issuer":"\#(base)","jwks_uri":"\#(base)/keys"}"#)
    }

    func withIssuer(
        _ answer: @escaping @Sendable (String, String) -> (HTTPResponseStatus, HTTPHeaders, String),
        _ test: @escaping @Sendable (_ base: String, _ issuer: ExternalIssuer) async throws -> Void
    ) async throws {
        let server = HTTPServer(listen: .tcp(host: "127.0.0.1", port: 0), handler: Handler(answer: answer))
        let base = "http://\(try await server.bind())"
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: HTTPSidekickAgent.httpConfiguration)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            do {
                try await test(
                    base,
                    ExternalIssuer(
                        issuer: base, audience: "computesdk", source: HTTPDocumentSource(http),
                        clock: SystemWallClock()))
            } catch {
                try? await http.shutdown()
                tasks.cancelAll()
                throw error
            }
            try await http.shutdown()
            tasks.cancelAll()
        }
    }

    @Test func anIssuerIsDiscoveredAndItsTokensOfEachAlgorithmAreAccepted() async throws {
        let rsa = try Insecure.RSA.PrivateKey(backing: _RSA.Signing.PrivateKey(keySize: .bits2048))
        let ed = try EdDSA.PrivateKey(curve: .ed25519)
        let primitives = try rsa.publicKey.getKeyPrimitives()
        let keys = """
            {"keys":[{"kty":"RSA","kid":"r","n":"\(primitives.modulus.base64EncodedString().urlSafe)",
              "e":"\(primitives.publicExponent.base64EncodedString().urlSafe)"},
             {"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"e",
              "x":"\(Data(ed.publicKey.rawRepresentation).base64EncodedString().urlSafe)"}]}
            """
        try await withIssuer({ path, base in
            path == "/keys" ? (.ok, [:], keys) : Self.metadata(base)
        }) { base, issuer in
            let claims = Claims(iss: base)
            let tokens = [
                try await JWTKeyCollection().add(rsa: rsa, digestAlgorithm: .sha256).sign(
                    claims, header: ["kid": .string("r")]),
                try await JWTKeyCollection().add(rsa: rsa, digestAlgorithm: .sha512).sign(
                    claims, header: ["kid": .string("r")]),
                try await JWTKeyCollection().add(eddsa: ed).sign(claims, header: ["kid": .string("e")]),
            ]
            for token in tokens {
                guard case .valid(let identity) = await issuer.verdict(on: token) else {
                    Issue.record("refused: \(await issuer.verdict(on: token))")
                    continue
                }
                #expect(identity.issuer == base && identity.subject == "mary")
            }
            // One kind of key never stands in for another.
            let mixed = try await JWTKeyCollection().add(eddsa: ed).sign(claims, header: ["kid": .string("r")])
            #expect(await issuer.verdict(on: mixed) == .refused(.wrongAlgorithm))
        }
    }

    @Test(arguments: ["elsewhere", "failing", "huge", "nonsense"]) func whatIsNoSetOfKeysIsNotBelieved(
        _ kind: String
    ) async throws {
        try await withIssuer({ path, base in
            guard path == "/keys" else { return Self.metadata(base) }
            return switch kind {
            case "elsewhere": (.found, ["Location": "\(base)/other"], "")
            case "failing": (.internalServerError, [:], "{}")
            case "huge": (.ok, [:], String(repeating: " ", count: 2 << 20) + #"{"keys":[]}"#)
            default: (.ok, [:], "<html>")
            }
        }) { base, issuer in
            let key = try EdDSA.PrivateKey(curve: .ed25519)
            let token = try await JWTKeyCollection().add(eddsa: key).sign(
                Claims(iss: base), header: ["kid": .string("e")])
            #expect(await issuer.verdict(on: token) == .unavailable)
        }
    }
}

extension SystemWallClock {
    fileprivate var seconds: Double { Double(now().milliseconds) / 1000 }
}

extension String {
    fileprivate var urlSafe: String {
        replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
