// FormatsTestSupport.swift: files as arrays of bytes, and safetensors files put together by hand.
// Not here: any check.
import RengaFormats
import RengaNetwork

/// The bytes that `save` would write.
func bytes(of file: SafetensorsFile) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try collect(&bytes) { (prepare) throws(RengaError) in try file.write(into: prepare) }
    return bytes
}

/// The bytes that `save` would write.
func bytes(of file: NetworkFile) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try collect(&bytes) { (prepare) throws(RengaError) in try file.write(into: prepare) }
    return bytes
}

private func collect(
    _ bytes: inout [UInt8],
    _ write: ((Int) throws(RengaError) -> UnsafeMutableRawBufferPointer) throws(RengaError) -> Void
) throws {
    var room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    defer { room.deallocate() }
    try write { count throws(RengaError) in
        room = .allocate(byteCount: count, alignment: 16)
        return room
    }
    bytes = Array(room)
}

/// A safetensors file by hand: length, header text, data.
func raw(_ header: String, _ data: [UInt8]) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
}

extension SafetensorsFile {
    /// Reads an array.
    init(_ bytes: [UInt8]) throws(RengaError) {
        self = try bytes.withUnsafeBufferPointer { (bytes) throws(RengaError) in
            try SafetensorsFile(bytes: UnsafeRawBufferPointer(bytes))
        }
    }
}

extension NetworkFile {
    /// Reads an array.
    init(_ bytes: [UInt8]) throws(RengaError) {
        self = try bytes.withUnsafeBufferPointer { (bytes) throws(RengaError) in
            try NetworkFile(bytes: UnsafeRawBufferPointer(bytes))
        }
    }
}
