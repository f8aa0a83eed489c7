// StreamedPacking.swift: weights that lie in a file become packed ones without ever being in memory as a whole: a thread reads a piece, takes
// its checksum and packs it while it is in that core's cache. Not here: the file (PendingTensor), packing (rk_conv_pack).
import CRengaKernels
import RengaFormats
import RengaNetwork

/// What is to be read from a file, and packed or only checked.
final class StreamedPacking {
    /// A tensor as `taps` blocks of `rows` rows of `row` numbers; a piece is some rows of every block.
    private struct Job {
        let tensor: PendingTensor
        /// How a piece is packed; weight, first and channels are the piece's. nil: it is only checked.
        let packing: rk_conv_pack_args?
        let taps: Int
        let rows: Int
        let row: Int
        /// Rows of a piece; the last may have fewer.
        let most: Int
        /// Where its checksums begin: of the first block's pieces, of the second's, …
        let parts: Int

        var pieces: Int { (rows + most - 1) / most }
        /// Of a piece.
        var floats: Int { taps * most * row }
    }

    /// A piece and what becomes of it stay in a core's second cache.
    private static let pieceFloats = 1 << 17
    /// Kernels read rows of weights in groups of these.
    private static let group = 16
    /// What cannot be packed in pieces is packed by one thread, from memory of its own, up to this size.
    private static let mostWhole = 4 << 20

    private var jobs: [Job] = []
    private var parts = 0

    /// Whether ``pack(_:_:)`` takes the weight: it is not too large for a thread, or goes by pieces.
    static func takes(_ tensor: PendingTensor, _ plan: rk_conv_plan) -> Bool {
        tensor.count <= mostWhole || withUnsafePointer(to: plan) { rk_conv_packs_channels($0) } != 0
    }

    /// The weight will be packed by ``run(threads:)``: what `packing` points to must live until then.
    func pack(_ tensor: PendingTensor, _ packing: rk_conv_pack_args) {
        guard let plan = packing.plan, rk_conv_packs_channels(plan) != 0 else {
            add(tensor, packing, taps: 1, rows: 1, row: tensor.count, most: 1)
            return
        }
        let shape = plan.pointee.shape
        let (taps, k) = (Int(shape.r * shape.s), Int(shape.k))
        let most = max(StreamedPacking.pieceFloats / (taps * k) / StreamedPacking.group, 1) * StreamedPacking.group
        add(tensor, packing, taps: taps, rows: Int(shape.c), row: k, most: min(most, Int(shape.c)))
    }

    /// The tensor will only be checked.
    func check(_ tensor: PendingTensor) {
        add(tensor, nil, taps: 1, rows: tensor.count, row: 1, most: min(tensor.count, StreamedPacking.pieceFloats))
    }

    private func add(_ tensor: PendingTensor, _ packing: rk_conv_pack_args?, taps: Int, rows: Int, row: Int, most: Int)
    {
        let job = Job(tensor: tensor, packing: packing, taps: taps, rows: rows, row: row, most: most, parts: parts)
        parts += job.taps * job.pieces
        jobs.append(job)
    }

    /// Reads, packs and checks everything. What was packed is worth nothing where this throws: fileError, corruptData, outOfMemory.
    func run(threads: Int) throws(RengaError) {
        // What one thread does as a whole comes first; the rest in the order of the layers.
        var pieces: [(job: Int, index: Int)] = []
        for isLarge in [true, false] {
            for (job, each) in jobs.enumerated() where (each.floats > 2 * StreamedPacking.pieceFloats) == isLarge {
                for index in 0..<each.pieces { pieces.append((job, index)) }
            }
        }
        let checksums = UnsafeMutablePointer<PendingTensor.Part>.allocate(capacity: max(parts, 1))
        defer { checksums.deallocate() }
        try SharedPieces.run(pieces.count, threads: Int32(clamping: threads)) { (index, scratch) throws(RengaError) in
            let (job, piece) = pieces[index]
            try StreamedPacking.take(jobs[job], piece, scratch, checksums)
        }
        for job in jobs {
            try job.tensor.check(UnsafeBufferPointer(start: checksums + job.parts, count: job.taps * job.pieces))
        }
    }

    private static func take(
        _ job: Job, _ piece: Int, _ memory: SharedPieces.Scratch,
        _ checksums: UnsafeMutablePointer<PendingTensor.Part>
    ) throws(RengaError) {
        let scratch = try memory.floats(job.floats)
        let first = piece * job.most
        let count = min(job.most, job.rows - first)
        for tap in 0..<job.taps {
            let dst = UnsafeMutableBufferPointer(start: scratch + tap * count * job.row, count: count * job.row)
            let part = try job.tensor.read(dst, from: (tap * job.rows + first) * job.row)
            (checksums + job.parts + tap * job.pieces + piece).initialize(to: part)
        }
        guard var packing = job.packing else { return }
        packing.weight = UnsafePointer(scratch)
        // All at once is the kernels' own case.
        if count < job.rows { (packing.first, packing.channels) = (Int64(first), Int64(count)) }
        var alone = rk_team()
        alone.nth = 1
        rk_conv_pack(&packing, &alone)
    }
}
