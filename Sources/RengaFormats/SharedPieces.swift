// SharedPieces.swift: pieces of work that each may fail, taken by all threads of a team, each with memory of its own to work in.
// Not here: what a piece is (PieceReader; StreamedPacking in RengaExecution).
import CRengaKernels
import RengaNetwork

/// Work in pieces that any thread may do in any order.
package final class SharedPieces: @unchecked Sendable {
    /// Memory of one thread, which grows to what its pieces ask for and is used again by the next.
    package final class Scratch {
        private var base: UnsafeMutableRawPointer?
        private var bytes = 0

        deinit { rk_free(base) }

        /// Room for `count` numbers, contents unset, until the next call.
        package func floats(_ count: Int) throws(RengaError) -> UnsafeMutablePointer<Float> {
            let needed = count.saturatingTimes(MemoryLayout<Float>.stride)
            if base == nil || needed > bytes {
                rk_free(base)
                (base, bytes) = (rk_alloc(needed), needed)
            }
            guard let base else { throw RengaError(.outOfMemory, "no memory for a piece of \(needed) bytes") }
            return base.assumingMemoryBound(to: Float.self)
        }
    }

    /// Does piece `index`.
    package typealias Work = (_ index: Int, _ scratch: Scratch) throws(RengaError) -> Void

    private let count: Int
    private let work: Work
    // Each element is written by one thread.
    private let errors: UnsafeMutablePointer<RengaError?>

    /// What rk_take can hand out.
    package static let mostPieces = 1 << 21

    /// Does pieces 0 ..< `count` (at most `mostPieces`) and throws the first error in their order, if any; the others are done all the same.
    /// Each thread begins with a part of them in their order and then takes the last of the others': large ones should come first.
    package static func run(_ count: Int, threads: Int32, _ work: Work) throws(RengaError) {
        guard count > 0 else { return }
        // The closure is not used behind the team's end, which is inside.
        let error = withoutActuallyEscaping(work) { SharedPieces(count, $0).run(threads) }
        if let error { throw error }
    }

    private init(_ count: Int, _ work: @escaping Work) {
        (self.count, self.work) = (count, work)
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
        let scratch = Scratch()
        var piece: Int64 = -1
        while rk_take(team, Int64(count), &piece) != 0 {
            let index = Int(piece)
            do throws(RengaError) {
                try work(index, scratch)
            } catch {
                errors[index] = error
            }
        }
    }
}
