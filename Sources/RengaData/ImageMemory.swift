// ImageMemory.swift: blocks of pixels and labels that fail softly: a Swift array would end the host where memory lacks.
// Not here: what lies in them (Dataset).
import CRengaKernels
import RengaNetwork

/// An aligned block, freed with its last owner. Written only before it is shared.
final class ImageMemory: @unchecked Sendable {
    let byteCount: Int
    private let base: UnsafeMutableRawPointer

    /// Room for `count` elements of `stride` bytes; `what` names it in the error.
    init(count: Int, stride: Int, _ what: @autoclosure () -> String) throws(RengaError) {
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: stride)
        guard !overflow, byteCount >= 0, let block = rk_alloc(max(byteCount, 1)) else {
            throw RengaError(.outOfMemory, "no memory for \(what()): \(count) elements of \(stride) bytes")
        }
        base = block
        self.byteCount = byteCount
    }

    deinit { rk_free(base) }

    /// Calls `body` with the block, which lives at least until it returns: a bare pointer could outlive its owner.
    func withBytes<R, E: Error>(_ body: (UnsafeMutableRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeMutableRawBufferPointer(start: base, count: byteCount))
    }
}
