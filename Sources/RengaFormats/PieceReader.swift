// PieceReader.swift: large data read and checked in pieces, by all threads: reading is copying, and one core copies slower than memory can.
// Not here: where the bytes come from (ByteSource), what they mean.
import CRengaKernels
import Glibc
import RengaNetwork

/// Numbers of a source from byte `offset` on, and where they shall go.
struct Stretch {
    let dst: UnsafeMutableBufferPointer<Float>
    let offset: Int
    let type: NumberType

    /// Bytes of them in the source.
    var byteCount: Int { dst.count * type.bytes }

    /// Fills `dst` and returns the checksum of what came. Any thread may.
    func read(from source: any ByteSource) throws(RengaError) -> UInt32 {
        guard type == .f32 else { return try convert(from: source) }
        let bytes = UnsafeMutableRawBufferPointer(dst)
        try source.read(bytes, at: offset)
        return rk_crc32c(0, bytes.baseAddress, bytes.count)
    }

    /// The same for numbers that are no f32 yet.
    private func convert(from source: any ByteSource) throws(RengaError) -> UInt32 {
        guard let raw = malloc(byteCount), let dst = dst.baseAddress else {
            throw RengaError(.outOfMemory, "no memory for \(byteCount) bytes of a file")
        }
        defer { free(raw) }
        try source.read(UnsafeMutableRawBufferPointer(start: raw, count: byteCount), at: offset)
        rk_numbers_to_f32(type.code, raw, Int64(self.dst.count), dst)
        return rk_crc32c(0, raw, byteCount)
    }
}

/// Reads stretches of a source into memory, all in one go; each thread takes its share of the pieces.
enum PieceReader {
    /// A piece stays in a core's cache between its reading and its checksum.
    private static let pieceBytes = 1 << 19
    /// Few enough for all threads to share, with a last piece of each stretch of any file that has a header.
    private static let mostPieces = 1 << 20

    /// Fills all `stretches` and returns the checksum of what came for each. The first error in their order, if any.
    static func read(_ source: any ByteSource, _ stretches: [Stretch]) throws(RengaError) -> [CRC32C] {
        let most = max(pieceBytes, source.size / mostPieces)
        let pieces = stretches.map { cut($0, most) }
        let all = pieces.flatMap(\.self)
        let checksums = UnsafeMutablePointer<UInt32>.allocate(capacity: max(all.count, 1))
        defer { checksums.deallocate() }
        // Waking a team takes as long as reading a little.
        let bytes = all.map(\.byteCount).reduce(0, +)
        let threads = bytes > pieceBytes ? rk_default_threads() : 1
        try SharedPieces.run(all.count, threads: threads) { (index, _) throws(RengaError) in
            (checksums + index).initialize(to: try all[index].read(from: source))
        }
        var index = 0
        return pieces.map { pieces in
            var checksum = CRC32C()
            for piece in pieces {
                checksum.join(checksums[index], count: piece.byteCount)
                index += 1
            }
            return checksum
        }
    }

    private static func cut(_ whole: Stretch, _ mostBytes: Int) -> [Stretch] {
        let bytes = whole.type.bytes
        let most = max(mostBytes / bytes, 1)
        return stride(from: 0, to: whole.dst.count, by: most).map { begin in
            let part = whole.dst[begin..<min(begin + most, whole.dst.count)]
            return Stretch(
                dst: UnsafeMutableBufferPointer(rebasing: part), offset: whole.offset + begin * bytes, type: whole.type)
        }
    }
}
