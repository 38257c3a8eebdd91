import Configuration

/// Reads settings: a flag wins over a variable, a variable over its alias, that over the default. An empty value counts as not set.
package struct SettingsReader: Sendable {
    private let prefix: String
    private let reader: ConfigReader
    private let environment: [String: String]

    /// - Parameters:
    ///   - flags: by the setting's name.
    ///   - environment: by the variable's name.
    package init(prefix: String, flags: [String: String], environment: [String: String]) {
        self.prefix = prefix
        self.environment = environment
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (name, value) in flags {
            values[AbsoluteConfigKey(Self.components(prefix, name))] = ConfigValue(.string(value), isSecret: true)
        }
        reader = ConfigReader(providers: [
            InMemoryProvider(name: "flags", values: values),
            EnvironmentVariablesProvider(environmentVariables: environment),
        ])
    }

    package func string(_ setting: Setting) -> String? {
        let key = ConfigKey(Self.components(prefix, setting.name))
        if let value = reader.string(forKey: key, isSecret: setting.isSecret), !value.isEmpty { return value }
        guard let value = setting.alias.flatMap({ environment[$0] }), !value.isEmpty else { return nil }
        return value
    }

    package func integer(_ setting: Setting, in range: ClosedRange<Int>) throws(SettingError) -> Int? {
        guard let text = string(setting) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw error(setting, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// Whole or with a point.
    package func number(_ setting: Setting, in range: ClosedRange<Double>) throws(SettingError) -> Double? {
        guard let text = string(setting) else { return nil }
        guard let value = Double(text), range.contains(value) else {
            throw error(setting, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    package func flag(_ setting: Setting) throws(SettingError) -> Bool? {
        guard let text = string(setting) else { return nil }
        switch text.lowercased() {
        case "true", "1", "yes": return true
        case "false", "0", "no": return false
        default: throw error(setting, "must be true or false")
        }
    }

    /// One of the raw values of an enum.
    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ setting: Setting, _ type: Choice.Type
    ) throws(SettingError) -> Choice? where Choice.RawValue == String {
        guard let text = string(setting) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw error(setting, "must be one of: \(choices)")
        }
        return choice
    }

    /// Anything that reads itself from text, such as an endpoint.
    package func value<Value: LosslessStringConvertible>(
        _ setting: Setting, _ type: Value.Type, shape: String
    ) throws(SettingError) -> Value? {
        guard let text = string(setting) else { return nil }
        guard let value = Value(text) else { throw error(setting, "must be \(shape)") }
        return value
    }

    package func error(_ setting: Setting, _ reason: String) -> SettingError {
        SettingError(setting, prefix: prefix, reason)
    }

    private static func components(_ prefix: String, _ name: String) -> [String] {
        [prefix.lowercased()] + name.split(separator: "-").map(String.init)
    }
}
