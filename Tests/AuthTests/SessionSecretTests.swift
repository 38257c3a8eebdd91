import Auth
import Testing

struct SessionSecretTests {
    @Test func aLinksSecretIsFoundByItsHashAlone() {
        let secret = MagicLinkSecret.random()
        #expect(secret.text.utf8.count == 43 && secret.hash.utf8.count == 64 && !secret.hash.contains(secret.text))
        #expect(MagicLinkSecret(secret.text)?.hash == secret.hash)
        #expect(MagicLinkSecret.random().hash != secret.hash)
        #expect(!"\(secret)".contains(secret.text) && !String(reflecting: secret).contains(secret.text))
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains(secret.text))
    }

    @Test(arguments: [
        "", "x", String(repeating: "A", count: 42), String(repeating: "A", count: 44),
        String(repeating: "+", count: 43), String(repeating: "é", count: 43), String(repeating: "A", count: 42) + "=",
    ])
    func whatCannotBeASecretIsNone(_ text: String) {
        #expect(MagicLinkSecret(text) == nil)
    }

    @Test func theCookieIsAsTheSchemeAllows() {
        #expect(
            SessionCookie.header(token: "t", lifetime: .seconds(60), scheme: "https")
                == "__Host-computesdk=t; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
        #expect(
            SessionCookie.header(token: "t", lifetime: .seconds(60), scheme: "http")
                == "computesdk_session=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    }
}
