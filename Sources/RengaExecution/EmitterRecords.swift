// EmitterRecords.swift: what an emitter notes: its buffers and who touches them, what steps cost, which buffer holds what.
// Not here: who notes it (Emitter, Emitter+Steps), notes of bands (Band, Emitter+Bands).
import CRengaKernels
import RengaNetwork

/// Names a buffer of a plan.
package struct BufferID: Hashable, Sendable {
    let index: Int
}

/// What the measuring pass learns about a buffer.
struct BufferRecord {
    let name: String
    let bytes: Int
    let type: rk_type
    /// Memory that lies outside the arena, or nil.
    let external: UnsafeMutableRawPointer?
    let extent: BufferExtent
    var first = Int.max
    var last = -1
}

/// What is being emitted.
package enum Passage: Sendable {
    case forward
    case backward
    /// The forward pass of a step once more, for a value that was not kept: the same bits, and nothing but the value changes.
    case recomputation
}

/// What the measuring pass learns about one fused step.
struct StepTrace {
    /// Multiply-accumulates of the forward pass.
    var macs = 0
    /// Bytes that the forward pass touches.
    var bytes = 0
    /// Values that the backward pass reads.
    var backwardReads: Set<ValueID> = []
}

/// Permission to write `new` over `old` in step `step`.
struct Replacement {
    let step: Int
    let old: BufferID
    let new: BufferID
}

/// Which buffer holds what so far: put back before the steps of a band are emitted for another chunk.
struct EmitterNames {
    /// Buffers made so far.
    var count = 0
    var named: [String: BufferID] = [:]
    var values: [ValueID: BufferID] = [:]
    var parameters: [String: BufferID] = [:]
    /// Gradients so far, of values that have one.
    var gradients: [ValueID: BufferID] = [:]
    /// Gradients of this step's inputs in the step's type, where the inputs have another.
    var unsettled: [ValueID: BufferID] = [:]
}
