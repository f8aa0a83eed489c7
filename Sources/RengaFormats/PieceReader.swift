// PieceReader.swift: large data read and checked in pieces, by all threads: reading is copying, and one core copies slower than memory can.
// Not here: where the bytes come from (ByteSource), what they mean.
import CRengaKernels
import Glibc
import RengaNetwork

/// Reads stretches of a source into memory, all in one go; each thread takes its share of the pieces.
final class PieceReader: @unchecked Sendable {
    /// Numbers of a source from byte `offset` on, and where they shall go.
    struct Stretch {
        let dst: UnsafeMutableBufferPointer<Float>
        let offset: Int
        let type: NumberType

        /// Bytes of them in the source.
        var byteCount: Int { dst.count * type.bytes }
    }

    /// A piece stays in a core's cache between its reading and its checksum.
    private static let pieceBytes = 1 << 19
    /// Few enough for rk_take, with a last piece of each stretch of any file that has a header.
    private static let mostPieces = 1 << 20

    private let source: any ByteSource
    /// In the order of the stretches.
    private let pieces: [Stretch]
    // Each element is written by one thread.
    private let checksums: UnsafeMutablePointer<UInt32>
    private let errors: UnsafeMutablePointer<RengaError?>

    /// Fills all `stretches` and returns the checksum of what came for each. The first error in their order, if any.
    static func read(_ source: any ByteSource, _ stretches: [Stretch]) throws(RengaError) -> [CRC32C] {
        let most = max(pieceBytes, source.size / mostPieces)
        let reader = PieceReader(source, stretches.flatMap { pieces(of: $0, most) })
        if !reader.pieces.isEmpty {
            // Waking a team takes as long as reading a small file.
            let threads = source.size > pieceBytes ? rk_default_threads() : 1
            let context = Unmanaged.passUnretained(reader)
            var step = rk_step()
            step.run = { context, team in
                guard let context, let team else { return }
                let reader = Unmanaged<PieceReader>.fromOpaque(context).takeUnretainedValue()
                var piece: Int64 = -1
                while rk_take(team, Int64(reader.pieces.count), &piece) != 0 { reader.take(Int(piece)) }
            }
            step.args = UnsafeRawPointer(context.toOpaque())
            withExtendedLifetime(reader) { _ = rk_run(&step, 1, threads, nil, nil) }
        }
        return try reader.results(stretches)
    }

    private init(_ source: any ByteSource, _ pieces: [Stretch]) {
        (self.source, self.pieces) = (source, pieces)
        checksums = .allocate(capacity: max(pieces.count, 1))
        checksums.initialize(repeating: 0, count: max(pieces.count, 1))
        errors = .allocate(capacity: max(pieces.count, 1))
        errors.initialize(repeating: nil, count: max(pieces.count, 1))
    }

    deinit {
        checksums.deallocate()
        errors.deinitialize(count: max(pieces.count, 1))
        errors.deallocate()
    }

    private static func pieces(of whole: Stretch, _ mostBytes: Int) -> [Stretch] {
        let bytes = whole.type.bytes
        let most = max(mostBytes / bytes, 1)
        return stride(from: 0, to: whole.dst.count, by: most).map { begin in
            let part = whole.dst[begin..<min(begin + most, whole.dst.count)]
            return Stretch(
                dst: UnsafeMutableBufferPointer(rebasing: part), offset: whole.offset + begin * bytes, type: whole.type)
        }
    }

    private func take(_ index: Int) {
        let piece = pieces[index]
        do throws(RengaError) {
            checksums[index] = try piece.type == .f32 ? read(piece) : convert(piece)
        } catch {
            errors[index] = error
        }
    }

    private func read(_ piece: Stretch) throws(RengaError) -> UInt32 {
        let bytes = UnsafeMutableRawBufferPointer(piece.dst)
        try source.read(bytes, at: piece.offset)
        return rk_crc32c(0, bytes.baseAddress, bytes.count)
    }

    /// The same for numbers that are no f32 yet.
    private func convert(_ piece: Stretch) throws(RengaError) -> UInt32 {
        guard let raw = malloc(piece.byteCount), let dst = piece.dst.baseAddress else {
            throw RengaError(.outOfMemory, "no memory for \(piece.byteCount) bytes of a file")
        }
        defer { free(raw) }
        try source.read(UnsafeMutableRawBufferPointer(start: raw, count: piece.byteCount), at: piece.offset)
        rk_numbers_to_f32(piece.type.code, raw, Int64(piece.dst.count), dst)
        return rk_crc32c(0, raw, piece.byteCount)
    }

    private func results(_ stretches: [Stretch]) throws(RengaError) -> [CRC32C] {
        var index = 0
        var results: [CRC32C] = []
        for stretch in stretches {
            var checksum = CRC32C()
            var left = stretch.dst.count
            while left > 0, index < pieces.count {
                if let error = errors[index] { throw error }
                checksum.join(checksums[index], count: pieces[index].byteCount)
                left -= pieces[index].dst.count
                index += 1
            }
            results.append(checksum)
        }
        return results
    }
}
