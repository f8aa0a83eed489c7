// Protobuf.swift: the wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding), read field by field where it lies.
// It keeps nothing and never descends by itself: memory and depth are those of whoever asks. Not here: any schema (ONNXSchema.swift).
import RengaNetwork

/// What a field's bytes are; the raw values are those of the wire.
package enum ProtobufWire: UInt64 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// A field as it lies in its source.
package struct ProtobufField {
    /// Its number in the schema.
    package let number: Int
    /// What its bytes are.
    package let wire: ProtobufWire
    /// The number itself; for `bytes` 0.
    package let bits: UInt64
    /// Where its bytes lie: the content of `bytes`, the number of the others.
    package let range: Range<Int>

    /// A signed number of a varint field.
    package var integer: Int { Int(Int64(bitPattern: bits)) }
    /// The number of an f32 field.
    package var float: Float { Float(bitPattern: UInt32(truncatingIfNeeded: bits)) }
}

/// A source of which a small part is kept in memory, so that reading byte by byte costs little.
final class ProtobufSource {
    private static let windowBytes = 1 << 16
    let source: any ByteSource
    private var window: [UInt8]
    private var begin = 0
    private var end = 0

    init(_ source: any ByteSource) {
        self.source = source
        window = [UInt8](repeating: 0, count: min(ProtobufSource.windowBytes, max(source.size, 1)))
    }

    func byte(at position: Int) throws(RengaError) -> UInt8 {
        if position < begin || position >= end {
            guard position >= 0, position < source.size else {
                throw RengaError(.corruptData, "it ends at byte \(source.size), inside a field")
            }
            (begin, end) = (position, min(source.size, position + window.count))
            let count = end - begin
            do throws(RengaError) {
                try window.withUnsafeMutableBufferPointer { (bytes) throws(RengaError) in
                    let room = UnsafeMutableRawBufferPointer(bytes)
                    try source.read(UnsafeMutableRawBufferPointer(rebasing: room[..<count]), at: position)
                }
            } catch {
                (begin, end) = (0, 0)
                throw error
            }
        }
        return window[position - begin]
    }
}

/// Reads the fields of one message, which is a range of a source's bytes. A value: a copy reads on from where it was made.
struct ProtobufReader {
    let source: ProtobufSource
    private(set) var position: Int
    let end: Int

    /// A whole file is one message.
    init(_ source: any ByteSource) {
        self.source = ProtobufSource(source)
        (position, end) = (0, source.size)
    }

    /// The message that lies in `range`, inside this one.
    func message(_ range: Range<Int>) -> ProtobufReader { ProtobufReader(source, range) }

    init(_ source: ProtobufSource, _ range: Range<Int>) {
        (self.source, position, end) = (source, range.lowerBound, range.upperBound)
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(RengaError) -> ProtobufField? {
        guard position < end else { return nil }
        let begin = position
        let tag = try varint()
        guard let wire = ProtobufWire(rawValue: tag & 7), let number = Int(exactly: tag >> 3), number >= 1,
            number < 1 << 29
        else { throw RengaError(.corruptData, "there is no field at byte \(begin)") }
        let start = position
        switch wire {
        case .varint:
            let bits = try varint()
            return ProtobufField(number: number, wire: wire, bits: bits, range: start..<position)
        case .fixed32, .fixed64:
            let bits = try fixed(wire == .fixed32 ? 4 : 8)
            return ProtobufField(number: number, wire: wire, bits: bits, range: start..<position)
        case .bytes:
            let length = try varint()
            guard let count = Int(exactly: length), count <= end - position else {
                throw RengaError(
                    .corruptData, "the field at byte \(begin) has \(length) bytes, only \(end - position) follow")
            }
            let content = position..<position + count
            position += count
            return ProtobufField(number: number, wire: wire, bits: 0, range: content)
        }
    }

    /// A number of 7 bits a byte, at most ten bytes.
    mutating func varint() throws(RengaError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            let byte = try byte()
            value |= UInt64(byte & 0x7F) << shift
            guard byte & 0x80 != 0 else { return value }
        }
        throw RengaError(.corruptData, "a number before byte \(position) does not end")
    }

    /// A little-endian number of `count` bytes.
    mutating func fixed(_ count: Int) throws(RengaError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(try byte()) << UInt64(8 * index) }
        return value
    }

    /// True where all of the message was read.
    var isAtEnd: Bool { position >= end }

    private mutating func byte() throws(RengaError) -> UInt8 {
        guard position < end else { throw RengaError(.corruptData, "a field ends at byte \(end), inside a number") }
        let byte = try source.byte(at: position)
        position += 1
        return byte
    }
}

// MARK: - Contents

extension ProtobufReader {
    /// The text of a field, at most `most` bytes; broken UTF-8 is replaced, as names are only compared and shown.
    func text(_ field: ProtobufField, most: Int = 1 << 16) throws(RengaError) -> String {
        guard field.wire == .bytes, field.range.count <= most else {
            throw RengaError(.corruptData, "a text of \(field.range.count) bytes at byte \(field.range.lowerBound)")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(field.range.count)
        for position in field.range { bytes.append(try source.byte(at: position)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Calls `body` with each number of a repeated varint field, be it packed or one by one.
    func integers(_ field: ProtobufField, _ body: (Int) throws(RengaError) -> Void) throws(RengaError) {
        switch field.wire {
        case .varint: try body(field.integer)
        case .bytes:
            var numbers = message(field.range)
            while !numbers.isAtEnd { try body(Int(Int64(bitPattern: try numbers.varint()))) }
        default: throw RengaError(.corruptData, "expected whole numbers at byte \(field.range.lowerBound)")
        }
    }

    /// Calls `body` with the bits of each number of a repeated field of `wire` (fixed32 or fixed64), be it packed or one by one.
    func fixeds(
        _ field: ProtobufField, _ wire: ProtobufWire, _ body: (UInt64) throws(RengaError) -> Void
    ) throws(RengaError) {
        let width = wire == .fixed32 ? 4 : 8
        if field.wire == wire { return try body(field.bits) }
        guard field.wire == .bytes, field.range.count % width == 0 else {
            throw RengaError(.corruptData, "expected numbers of \(width) bytes at byte \(field.range.lowerBound)")
        }
        var numbers = message(field.range)
        while !numbers.isAtEnd { try body(try numbers.fixed(width)) }
    }
}
