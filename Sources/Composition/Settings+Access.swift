import Auth
package import ServiceHost

/// Whose tokens people sign in with.
package struct IssuerSettings: Hashable, Sendable {
    package var url: String
    package var audience: String
}

extension Settings {
    package static let oidcIssuer = Setting(
        "oidc-issuer",
        "The OpenID provider whose tokens the API accepts: the URL that is `iss` in them, below which discovery finds its keys."
    )
    package static let oidcAudience = Setting(
        "oidc-audience", fallback: "computesdk", "What `aud` of such a token must name.")
    package static let signingKeyDays = Setting(
        "signing-key-days", fallback: "90", "How many days one key signs tokens before the next one does.")

    static let access = [oidcIssuer, oidcAudience, signingKeyDays]
}

extension IssuerSettings {
    init?(_ reader: SettingsReader) throws(SettingError) {
        guard let url = reader.string(Settings.oidcIssuer) else { return nil }
        guard ExternalKeys.isFetchable(url), !url.contains("?"), !url.contains("#") else {
            throw reader.error(
                Settings.oidcIssuer, "must be an https URL without a query, such as https://id.example.com")
        }
        self.url = url
        audience = reader.string(Settings.oidcAudience) ?? "computesdk"
    }
}
