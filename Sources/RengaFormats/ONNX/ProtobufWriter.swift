// ProtobufWriter.swift: the wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding), written field by field.
// Not here: reading it (Protobuf.swift), any schema (ONNXSchema.swift).

/// A message on its way to bytes. Large contents need not pass through it: ``head(_:count:)`` says how many bytes will follow.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    /// A whole number; negative ones take ten bytes, as the format wants.
    mutating func integer(_ field: Int, _ value: Int) {
        tag(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    /// An f32.
    mutating func float(_ field: Int, _ value: Float) {
        tag(field, .fixed32)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    /// Text, or other bytes.
    mutating func text(_ field: Int, _ value: String) {
        var value = value
        value.withUTF8 { text in
            head(field, count: text.count)
            bytes += text
        }
    }

    /// A message inside this one, or bytes.
    mutating func message(_ field: Int, _ content: [UInt8]) {
        head(field, count: content.count)
        bytes += content
    }

    /// The head of a field of `count` bytes, which whoever calls writes.
    mutating func head(_ field: Int, count: Int) {
        tag(field, .bytes)
        varint(UInt64(count))
    }

    private mutating func tag(_ field: Int, _ wire: ProtobufWire) { varint(UInt64(field) << 3 | wire.rawValue) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
