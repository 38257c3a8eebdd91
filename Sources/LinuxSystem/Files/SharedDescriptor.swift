/// An open file that several hold: closed when the last of them lets go.
package final class SharedDescriptor: Sendable {
    package let descriptor: FileDescriptor
    package init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    package var raw: Int32 { descriptor.raw }
}
