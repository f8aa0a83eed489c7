// CRC32C.swift: the Castagnoli checksum (polynomial 0x1EDC6F41, reflected), as in iSCSI (RFC 3720, B.4): finds every burst up to 32 bits.
// Not here: protection against someone who wants to forge a file.

/// A running CRC-32C.
struct CRC32C {
    private var state: UInt32 = 0xFFFF_FFFF

    /// The checksum of everything so far.
    var value: UInt32 { ~state }

    /// Eight lower-case hexadecimal digits.
    var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }

    /// The checksum of `bytes`, as text.
    static func text(of bytes: UnsafeRawBufferPointer) -> String {
        var checksum = CRC32C()
        checksum.update(bytes)
        return checksum.text
    }

    /// Takes `bytes` in, eight at a time ("slicing by 8": eight tables, each a further byte ahead).
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        state = CRC32C.tables.withUnsafeBufferPointer { tables in
            var crc = state
            var index = 0
            while index + 8 <= bytes.count {
                let next = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let word = UInt64(littleEndian: next) ^ UInt64(crc)
                crc = 0
                for slice in 0..<8 {
                    crc ^= tables[(7 - slice) << 8 | Int(truncatingIfNeeded: (word >> UInt64(8 * slice)) & 0xFF)]
                }
                index += 8
            }
            while index < bytes.count {
                crc = crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[index])) & 0xFF)]
                index += 1
            }
            return crc
        }
    }

    /// Table `k` at `256 k`: the remainder of a byte followed by `k` zero bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
            tables[byte] = crc
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()
}
