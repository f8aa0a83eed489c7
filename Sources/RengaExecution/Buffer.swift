// Buffer.swift: one owned block of memory that can fail softly.
// Not here: what lies where in it (MemoryPlanner, the plans).
import CRengaKernels
import RengaNetwork

/// A block of 64-byte aligned memory, freed with its last owner. Writing is the owner's business: not synchronised.
package final class Buffer: @unchecked Sendable {
    /// First byte.
    package let base: UnsafeMutableRawPointer
    /// Usable bytes.
    package let bytes: Int

    /// Allocates `bytes` (0 gives a valid, empty block), zeroed unless every reader is preceded by a writer anyway.
    /// Out of memory is an error that names `what`.
    package init(bytes: Int, zeroed: Bool = true, for what: @autoclosure () -> String) throws(RengaError) {
        guard bytes >= 0, let block = rk_alloc(bytes) else {
            throw RengaError(.outOfMemory, "no memory for \(what()): \(bytes) bytes")
        }
        if zeroed { block.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
        base = block
        self.bytes = bytes
    }

    /// The same for `count` floats.
    package convenience init(floats count: Int, zeroed: Bool = true, for what: @autoclosure () -> String)
        throws(RengaError)
    {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        try self.init(bytes: overflow ? -1 : bytes, zeroed: zeroed, for: what())
    }

    /// The block as floats.
    package var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }

    deinit { rk_free(base) }
}
