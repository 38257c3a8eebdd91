// HTTP/1.1 server and client connections on SwiftNIO, with raw request targets.
