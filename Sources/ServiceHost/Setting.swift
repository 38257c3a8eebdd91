/// One setting of a service, as the tables of settings list it: `--data-dir`, `COMPUTESDK_DATA_DIR`.
package struct Setting: Hashable, Sendable {
    /// Lower-case words joined by hyphens: the flag's name without the dashes.
    package let name: String
    /// What holds when nobody sets it, for people; nil when there is no default.
    package let fallback: String?
    package let help: String
    /// Its value must not appear in logs or messages.
    package let isSecret: Bool
    /// A variable without the prefix that is read when the prefixed one is not set: a name that others gave it.
    package let alias: String?

    package init(
        _ name: String, fallback: String? = nil, isSecret: Bool = false, alias: String? = nil, _ help: String
    ) {
        self.name = name
        self.alias = alias
        self.fallback = fallback
        self.isSecret = isSecret
        self.help = help
    }

    package var flag: String { "--\(name)" }

    /// - Parameter prefix: the product's, without an underscore: `COMPUTESDK`.
    package func variable(prefix: String) -> String {
        "\(prefix)_" + String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
    }
}

/// A setting that is missing or has a value that cannot be used. The process that reads it cannot start.
package struct SettingError: Error, Hashable, Sendable, CustomStringConvertible {
    package let setting: Setting
    package let reason: String
    private let variable: String

    package init(_ setting: Setting, prefix: String, _ reason: String) {
        self.setting = setting
        self.reason = reason
        self.variable = setting.variable(prefix: prefix) + (setting.alias.map { " or \($0)" } ?? "")
    }

    package var description: String { "\(variable) (\(setting.flag)): \(reason)" }
}
