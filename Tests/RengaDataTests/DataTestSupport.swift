// DataTestSupport.swift: small data files made by hand.
// Not here: any check.
import CZlib
import RengaData
import RengaNetwork

/// An IDX file of bytes: header and content.
func idx(_ dimensions: [Int], _ content: [UInt8]) -> [UInt8] {
    [0, 0, 8, UInt8(dimensions.count)] + dimensions.flatMap(bigEndian) + content
}

/// Four bytes, most significant first.
func bigEndian(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

/// `bytes` as one gzip member.
func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard deflateInit2_(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size) == Z_OK else {
        throw RengaError(.internalFault, "deflateInit2")
    }
    defer { deflateEnd(&stream) }
    var source = bytes
    var packed = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))) + 32)
    let capacity = packed.count
    let code = source.withUnsafeMutableBufferPointer { src in
        packed.withUnsafeMutableBufferPointer { dst in
            stream.next_in = src.baseAddress
            stream.avail_in = UInt32(src.count)
            stream.next_out = dst.baseAddress
            stream.avail_out = UInt32(dst.count)
            return deflate(&stream, Z_FINISH)
        }
    }
    guard code == Z_STREAM_END else { throw RengaError(.internalFault, "deflate: \(code)") }
    return Array(packed.prefix(capacity - Int(stream.avail_out)))
}

/// Bytes that differ from their neighbours and repeat late.
func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 >> 7) } }

/// The bytes of a set's images.
func bytes(_ set: Dataset) -> [UInt8] { set.withImages { Array($0) } }

/// A set's labels.
func labels(_ set: Dataset) -> [Int32] { set.withLabels { Array($0) } }
