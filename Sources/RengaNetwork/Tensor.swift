// Tensor.swift: owned f32 numbers with a shape, copied on write: what parameters are made of.
// Not here: activations (the plan's arena), arithmetic (the kernels).
import Glibc

/// A dense f32 tensor of any rank, last dimension fastest. A value: copies share storage until one is written.
public struct Tensor: Sendable {
    /// Extents, slowest first; empty for a scalar.
    public let dimensions: [Int]
    /// Number of elements.
    public let count: Int
    /// nil: the values have yet to be read.
    private var storage: TensorStorage?

    /// A tensor of zeros. Fails softly on sizes that overflow or that memory cannot hold.
    public init(dimensions: [Int]) throws(RengaError) {
        try self.init(dimensions: dimensions) { values in
            if let base = values.baseAddress { memset(base, 0, values.count * MemoryLayout<Float>.stride) }
        }
    }

    /// A tensor whose elements `fill` writes, all of them: they hold anything before.
    package init(
        dimensions: [Int], filledBy fill: (UnsafeMutableBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) {
        let storage = TensorStorage(block: try TensorBlock(count: Tensor.count(of: dimensions)))
        try self.init(dimensions, storage)
        try fill(UnsafeMutableBufferPointer(start: storage.base, count: count))
    }

    /// A tensor whose values lie in a file, where whoever made it reads them: here they are none. Within a network it stands for what a
    /// plan asks for by name, and never reaches a caller.
    package init(valuesElsewhere dimensions: [Int]) throws(RengaError) {
        try self.init(dimensions, nil)
    }

    private init(_ dimensions: [Int], _ storage: TensorStorage?) throws(RengaError) {
        (self.dimensions, self.storage) = (dimensions, storage)
        count = try Tensor.count(of: dimensions)
    }

    /// False for one of ``init(valuesElsewhere:)``.
    package var hasValues: Bool { storage != nil }

    private static func count(of dimensions: [Int]) throws(RengaError) -> Int {
        var count = 1
        for extent in dimensions {
            let (next, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow, next <= Shape.mostElements else {
                throw RengaError(.invalidArgument, "tensor dimensions \(dimensions) are negative or too large")
            }
            count = next
        }
        return count
    }

    /// Many tensors at once, whose elements `fill` writes, all of them. Small ones share blocks of memory, which cost fewer page faults
    /// than a block each; a block goes with the last of its tensors.
    package static func together(
        _ dimensions: [[Int]], filledBy fill: ([UnsafeMutableBufferPointer<Float>]) throws(RengaError) -> Void
    ) throws(RengaError) -> [Tensor] {
        var tensors: [Tensor] = []
        tensors.reserveCapacity(dimensions.count)
        var waiting: [(dimensions: [Int], offset: Int)] = []
        var floats = 0
        func place() throws(RengaError) {
            let block = try TensorBlock(count: floats)
            for (dimensions, offset) in waiting {
                tensors.append(try Tensor(dimensions, TensorStorage(block: block, offset: offset)))
            }
            (waiting, floats) = ([], 0)
        }
        for dimensions in dimensions {
            let count = try count(of: dimensions)
            if !waiting.isEmpty, floats + count > TensorBlock.sharedFloats { try place() }
            waiting.append((dimensions, floats))
            floats += (count + 15) / 16 * 16
        }
        try place()
        try fill(tensors.map(\.room))
        return tensors
    }

    /// A tensor holding `values`, whose number must be the product of `dimensions`.
    public init(dimensions: [Int], values: [Float]) throws(RengaError) {
        try self.init(dimensions: dimensions)
        guard values.count == count else {
            throw RengaError(
                .shapeMismatch, "tensor \(dimensions) needs \(count) values, got \(values.count)")
        }
        withUnsafeMutableValues { buffer in
            for (index, value) in values.enumerated() { buffer[index] = value }
        }
    }

    /// The values, copied into an array.
    public var values: [Float] { withUnsafeValues { Array($0) } }

    /// Calls `body` with the elements; the pointer is valid only inside it.
    public func withUnsafeValues<R, E: Error>(_ body: (UnsafeBufferPointer<Float>) throws(E) -> R) throws(E) -> R {
        try body(UnsafeBufferPointer(room))
    }

    /// Where the values lie; empty where they are elsewhere.
    private var room: UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: storage?.base, count: storage == nil ? 0 : count)
    }

    /// Calls `body` with the elements for writing; copies them first where the storage is shared.
    /// If memory for that copy is lacking the body is called with an empty buffer and the tensor stays as it was.
    public mutating func withUnsafeMutableValues<R, E: Error>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws(E) -> R
    ) throws(E) -> R {
        if !isKnownUniquelyReferenced(&storage) {
            guard let shared = storage, let block = try? TensorBlock(count: count) else {
                return try body(UnsafeMutableBufferPointer(start: nil, count: 0))
            }
            let copy = TensorStorage(block: block)
            memcpy(copy.base, shared.base, count * MemoryLayout<Float>.stride)
            storage = copy
        }
        return try body(room)
    }
}

/// What a tensor's values lie in. Its contents are anything at first.
private final class TensorStorage: Sendable {
    private let block: TensorBlock
    private let offset: Int

    /// From `offset` on: others may have other parts.
    init(block: TensorBlock, offset: Int = 0) { (self.block, self.offset) = (block, offset) }

    var base: UnsafeMutablePointer<Float> { block.base + offset }
}

/// Memory of tensors: 64-byte aligned, freed with its last owner.
private final class TensorBlock: @unchecked Sendable {
    /// Most floats of tensors that share a block: enough for large pages, and little to keep for the sake of one of them.
    static let sharedFloats = 4 << 20
    let base: UnsafeMutablePointer<Float>

    init(count: Int) throws(RengaError) {
        // `count` is at most 2^40 here, so the byte count cannot overflow.
        let bytes = max(count, 1) * MemoryLayout<Float>.stride
        let hugePage = 2 << 20
        let isLarge = bytes >= 2 * hugePage
        var block: UnsafeMutableRawPointer?
        guard posix_memalign(&block, isLarge ? hugePage : 64, bytes) == 0, let block else {
            throw RengaError(.outOfMemory, "no memory for a tensor of \(bytes) bytes")
        }
        // Fewer page faults while it is filled; a hint, whose refusal changes nothing.
        if isLarge { _ = madvise(block, bytes / hugePage * hugePage, MADV_HUGEPAGE) }
        base = block.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    deinit { free(base) }
}
