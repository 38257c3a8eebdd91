import LinuxHost
import Testing

@Suite struct MountTableTests {
    @Test func mountsBelowAFolderAreFoundNewestFirst() {
        let text = """
            22 1 8:1 / / rw - ext4 /dev/sda1 rw
            30 22 7:0 / /data/m1/layer rw,noatime - ext4 /dev/loop0 rw
            31 22 0:40 / /data/m1/rootfs rw - overlay overlay rw,lowerdir=/data/m2
            32 22 7:1 / /data/m10/layer rw - ext4 /dev/loop1 rw
            33 22 7:2 / /data/m1/with\\040space\\134 rw - ext4 /dev/loop2 rw
            34 22 7:3 / /data/m1/gone//deleted rw - ext4 /dev/loop3 rw
            broken
            """
        #expect(
            MountTable.points(below: "/data/m1", in: text)
                == ["/data/m1/gone", "/data/m1/with space\\", "/data/m1/rootfs", "/data/m1/layer"])
        #expect(MountTable.points(below: "/dat", in: text) == [])
    }
}
