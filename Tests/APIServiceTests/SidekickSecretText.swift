import ComputeCore
import SidekickProtocol

enum SidekickSecretText {
    static func of(_ id: ComputeID, _ world: World) -> String {
        SidekickSecret.derive(from: world.sidekickKey, computeID: id, generation: .first)
    }
}
