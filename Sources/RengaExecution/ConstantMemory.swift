// ConstantMemory.swift: where the constants of a plan lie: few large blocks, which cost fewer page faults than many small ones.
// Not here: what the constants are (ConstantStore).
import CRengaKernels
import RengaNetwork

/// Memory that is taken piece by piece and freed at once, with its owner.
final class ConstantMemory {
    /// Enough for large pages; what a block's end leaves unused is never touched.
    private static let mostBlockBytes = 16 << 20

    private let blockBytes: Int
    private var blocks: [Buffer] = []
    /// Where the last block's unused end begins.
    private var begin: UnsafeMutableRawPointer?
    private var left = 0

    /// expectedBytes: about how many will be taken.
    init(expectedBytes: Int) { blockBytes = min(max(expectedBytes, 0), ConstantMemory.mostBlockBytes) }

    /// Bytes from the beginning of each large block that have been taken.
    var largeBlocks: [(base: UnsafeMutableRawPointer, bytes: Int)] {
        blocks.filter { $0.bytes >= 4 << 20 }.map { block in
            let isLast = begin.map { $0 >= block.base && $0 <= block.base + block.bytes } ?? false
            return (block.base, isLast ? block.bytes - left : block.bytes)
        }
    }

    /// Room for `floats` numbers, contents unset, 64-byte aligned. Out of memory is an error that names `what`.
    func take(floats: Int, for what: @autoclosure () -> String) throws(RengaError) -> UnsafeMutablePointer<Float> {
        let (bytes, overflow) = floats.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        guard !overflow, floats >= 0, bytes <= Int.max - Int(RK_ALIGNMENT) else {
            throw RengaError(.outOfMemory, "no memory for \(what()): \(floats) floats")
        }
        let needed = (bytes + Int(RK_ALIGNMENT) - 1) / Int(RK_ALIGNMENT) * Int(RK_ALIGNMENT)
        if begin == nil || needed > left {
            let block = try Buffer(bytes: max(needed, blockBytes), zeroed: false, for: what())
            blocks.append(block)
            // What has more room left is used further.
            guard block.bytes - needed > left else { return block.floats }
            (begin, left) = (block.base, block.bytes)
        }
        guard let taken = begin else { throw RengaError(.internalFault, "a block of constants has no address") }
        (begin, left) = (taken + needed, left - needed)
        return taken.assumingMemoryBound(to: Float.self)
    }
}
