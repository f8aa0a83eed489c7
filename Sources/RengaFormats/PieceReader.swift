// PieceReader.swift: large data read and checked in pieces, by all threads: reading is copying, and one core copies slower than memory can.
// Not here: where the bytes come from (ByteSource), what they mean.
import CRengaKernels
import RengaNetwork

/// Reads one stretch of a source into memory; each thread takes its share of the pieces.
final class PieceReader: @unchecked Sendable {
    /// A piece stays in a core's cache between its reading and its checksum.
    private static let pieceBytes = 1 << 19

    private let source: any ByteSource
    private let dst: UnsafeMutableRawBufferPointer
    private let offset: Int
    // Each element is written by one thread.
    private let checksums: UnsafeMutablePointer<UInt32>
    private let errors: UnsafeMutablePointer<RengaError?>
    private let count: Int

    /// Fills `dst` from `offset` on and returns the checksum of what came. The first error in order of the pieces, if any.
    static func read(
        _ source: any ByteSource, _ dst: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(RengaError) -> CRC32C {
        let reader = PieceReader(source, dst, offset)
        if reader.count > 1 {
            let context = Unmanaged.passUnretained(reader)
            var step = rk_step()
            step.run = { context, team in
                guard let context, let team = team?.pointee else { return }
                let reader = Unmanaged<PieceReader>.fromOpaque(context).takeUnretainedValue()
                for piece in 0..<reader.count where piece % Int(team.nth) == Int(team.tid) { reader.take(piece) }
            }
            step.args = UnsafeRawPointer(context.toOpaque())
            withExtendedLifetime(reader) { _ = rk_run(&step, 1, rk_default_threads(), nil, nil) }
        } else if reader.count == 1 {
            reader.take(0)
        }
        return try reader.result()
    }

    private init(_ source: any ByteSource, _ dst: UnsafeMutableRawBufferPointer, _ offset: Int) {
        (self.source, self.dst, self.offset) = (source, dst, offset)
        count = (dst.count + PieceReader.pieceBytes - 1) / PieceReader.pieceBytes
        checksums = .allocate(capacity: max(count, 1))
        checksums.initialize(repeating: 0, count: max(count, 1))
        errors = .allocate(capacity: max(count, 1))
        errors.initialize(repeating: nil, count: max(count, 1))
    }

    deinit {
        checksums.deallocate()
        errors.deinitialize(count: max(count, 1))
        errors.deallocate()
    }

    private func range(_ piece: Int) -> Range<Int> {
        let begin = piece * PieceReader.pieceBytes
        return begin..<min(begin + PieceReader.pieceBytes, dst.count)
    }

    private func take(_ piece: Int) {
        let range = range(piece)
        let part = UnsafeMutableRawBufferPointer(rebasing: dst[range])
        do throws(RengaError) {
            try source.read(part, at: offset + range.lowerBound)
            checksums[piece] = rk_crc32c(0, part.baseAddress, part.count)
        } catch {
            errors[piece] = error
        }
    }

    private func result() throws(RengaError) -> CRC32C {
        var checksum = CRC32C()
        for piece in 0..<count {
            if let error = errors[piece] { throw error }
            checksum.join(checksums[piece], count: range(piece).count)
        }
        return checksum
    }
}
