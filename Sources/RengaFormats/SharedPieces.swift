// SharedPieces.swift: pieces of work that each may fail, taken by all threads of a team, each with memory of its own to work in.
// Not here: what a piece is (PieceReader; StreamedPacking in RengaExecution).
import CRengaKernels
import RengaNetwork

/// Work in pieces that any thread may do in any order.
package final class SharedPieces: @unchecked Sendable {
    /// Does piece `index` with the thread's own scratch memory.
    package typealias Work = (_ index: Int, _ scratch: UnsafeMutableRawPointer?) throws(RengaError) -> Void

    private let count: Int
    private let scratchBytes: Int
    private let work: Work
    // Each element is written by one thread.
    private let errors: UnsafeMutablePointer<RengaError?>

    /// Does pieces 0 ..< `count` (at most 2^21) and throws the first error in their order, if any; the others are done all the same.
    package static func run(_ count: Int, threads: Int32, scratchBytes: Int = 0, _ work: Work) throws(RengaError) {
        guard count > 0 else { return }
        // The closure is not used behind the team's end, which is inside.
        let error = withoutActuallyEscaping(work) { SharedPieces(count, scratchBytes, $0).run(threads) }
        if let error { throw error }
    }

    private init(_ count: Int, _ scratchBytes: Int, _ work: @escaping Work) {
        (self.count, self.scratchBytes, self.work) = (count, scratchBytes, work)
        errors = .allocate(capacity: count)
        errors.initialize(repeating: nil, count: count)
    }

    deinit {
        errors.deinitialize(count: count)
        errors.deallocate()
    }

    private func run(_ threads: Int32) -> RengaError? {
        var step = rk_step()
        step.run = { context, team in
            guard let context, let team else { return }
            Unmanaged<SharedPieces>.fromOpaque(context).takeUnretainedValue().takePieces(team)
        }
        step.args = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        withExtendedLifetime(self) { _ = rk_run(&step, 1, threads, nil, nil) }
        for index in 0..<count { if let error = errors[index] { return error } }
        return nil
    }

    private func takePieces(_ team: UnsafePointer<rk_team>) {
        let scratch = scratchBytes > 0 ? rk_alloc(scratchBytes) : nil
        defer { rk_free(scratch) }
        var piece: Int64 = -1
        while rk_take(team, Int64(count), &piece) != 0 {
            let index = Int(piece)
            do throws(RengaError) {
                guard scratch != nil || scratchBytes == 0 else {
                    throw RengaError(.outOfMemory, "no memory for a piece of \(scratchBytes) bytes")
                }
                try work(index, scratch)
            } catch {
                errors[index] = error
            }
        }
    }
}
