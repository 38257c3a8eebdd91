import LocalRuntime
import Testing

struct GVisorSettingsTests {
    @Test(arguments: [(0, 64), (64, 72), (256, 96), (512, 128), (2048, 320), (3584, 512), (1 << 20, 512)])
    func aComputeMayHaveAsManyProcessesAsItsMemoryHasRoomFor(_ mebibytes: Int64, _ processes: Int) {
        #expect(GVisorSettings(imageDirectory: "/i").processes(besideMemory: mebibytes << 20) == processes)
    }

    @Test func aLowerSettingIsKept() {
        var settings = GVisorSettings(imageDirectory: "/i")
        settings.maxProcesses = 48
        #expect(settings.processes(besideMemory: 512 << 20) == 48)
    }
}
