// CRC32C.swift: the checksum of files (CRC-32C) as it stands in them.
// Not here: its computation (rk_checksum.h).
import CRengaKernels

/// A running CRC-32C.
struct CRC32C {
    /// The checksum of everything so far.
    private(set) var value: UInt32 = 0

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

    /// Takes `bytes` in.
    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = rk_crc32c(value, bytes.baseAddress, bytes.count)
    }

    /// Takes `count` bytes in whose own checksum is known.
    mutating func join(_ checksum: UInt32, count: Int) {
        value = rk_crc32c_join(value, checksum, UInt64(count))
    }
}
