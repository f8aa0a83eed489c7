// ArenaLayout.swift: from what the measuring pass saw to addresses: buffers written over others, then offsets in one arena.
// Not here: the placement itself (MemoryPlanner).
import CRengaKernels
import RengaNetwork

/// Bytes of one plan.
package struct PlanMemory: Equatable, Sendable {
    /// The arena: all values (training: and gradients, packed weights, saved statistics).
    package var arena = 0
    /// What one kernel at a time needs besides.
    package var scratch = 0
    /// The most bytes of the arena alive at any one step: no arena for these steps can be smaller.
    package var lowerBound = 0
}

/// The memory that runs of a plan write to; plans for smaller batches share it.
package struct PlanBuffers {
    let arena: Buffer
    let scratch: Buffer

    /// Allocates at least what `memory` says, or keeps `shared` where that is enough.
    init(_ memory: PlanMemory, shared: PlanBuffers?) throws(RengaError) {
        if let shared, shared.arena.bytes >= memory.arena {
            arena = shared.arena
        } else {
            arena = try Buffer(bytes: memory.arena, zeroed: false, for: "the values of a plan")
        }
        if let shared, shared.scratch.bytes >= memory.scratch {
            scratch = shared.scratch
        } else {
            scratch = try Buffer(bytes: memory.scratch, zeroed: false, for: "the scratch memory of a plan")
        }
    }
}

/// Where each buffer of a plan will lie in its arena: nothing is allocated yet.
struct ArenaPlan {
    fileprivate let bands: BandLayout
    let memory: PlanMemory
    fileprivate let offsets: [Int]

    /// Places everything that `measured` recorded.
    init(_ measured: Emitter) throws(RengaError) {
        let reuse = measured.settings.reuseMemory
        bands = try BandLayout(measured)
        let sharing = BufferSharing(measured.records, reuse ? bands.replacements(measured) : [])
        let end = measured.stepCount
        var requests: [MemoryRequest] = []
        for (index, record) in sharing.records.enumerated() {
            // One place for a group, held by its root; memory outside takes none, nor does what lives in a band.
            let takesRoom =
                sharing.root(index) == index && record.external == nil && record.last >= 0
                && bands.homes[index] == nil
            let bytes = takesRoom ? record.bytes : 0
            let lifetime = reuse && takesRoom ? (record.first, record.last) : (0, end)
            requests.append(MemoryRequest(first: lifetime.0, last: lifetime.1, bytes: bytes))
        }
        let plan = try MemoryPlanner.plan(requests, alignment: Int(RK_ALIGNMENT))
        let scratch = measured.scratchFloats.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        let slots = bands.slotBytes.multipliedReportingOverflow(by: measured.settings.threads)
        guard !scratch.overflow, !slots.overflow else {
            throw RengaError(.outOfMemory, "the plan's scratch memory is not addressable")
        }
        memory = PlanMemory(
            arena: plan.peak, scratch: max(scratch.partialValue, slots.partialValue), lowerBound: plan.lowerBound)
        offsets = sharing.records.indices.map { plan.offsets[sharing.root($0)] }
    }
}

/// Where each buffer of a plan lies.
struct ArenaLayout {
    private let offsets: [Int]
    private let bands: BandLayout
    private let buffers: PlanBuffers
    let memory: PlanMemory

    /// Allocates what `plan` needs, unless `shared` is large enough.
    init(_ plan: ArenaPlan, shared: PlanBuffers?) throws(RengaError) {
        (offsets, bands, memory) = (plan.offsets, plan.bands, plan.memory)
        buffers = try PlanBuffers(plan.memory, shared: shared)
    }

    /// The address of a buffer, or of its part in `view`.
    func pointer(_ index: Int, _ record: BufferRecord, _ view: BandView?, batch: Int) -> UnsafeMutableRawPointer {
        var offset = 0
        if let view {
            if let local = bands.offset(index) {
                return buffers.scratch.base + view.slot * bands.slotBytes + local
            }
            switch record.extent {
            case .whole: break
            case .images: offset = record.bytes / batch * view.firstImage
            case .chunks: offset = record.bytes / view.chunks * view.chunk
            }
        }
        return (record.external ?? buffers.arena.base + offsets[index]) + offset
    }

    /// Scratch memory for a step of the whole team, or in a thread's slot.
    func scratch(_ view: BandView?, _ band: Int?) -> UnsafeMutablePointer<Float> {
        guard let view, let band, let plan = bands.plan(band) else { return buffers.scratch.floats }
        return (buffers.scratch.base + view.slot * bands.slotBytes + plan.scratch).assumingMemoryBound(to: Float.self)
    }

    /// The band of that index, or nil where its steps did not become one.
    func band(_ index: Int) -> BandPlan? { bands.plan(index) }

    var kept: PlanBuffers { buffers }
}

/// Buffers that lie in the same place because one is written over the other in the step that reads that one last.
struct BufferSharing {
    /// As measured; a root's lifetime covers its whole group.
    private(set) var records: [BufferRecord]
    private var parents: [Int]

    /// Grants every replacement that does no harm, in order of the steps.
    init(_ records: [BufferRecord], _ replacements: [Replacement]) {
        self.records = records
        parents = Array(records.indices)
        for replacement in replacements {
            let old = root(replacement.old.index)
            let new = replacement.new.index
            // `new` must begin here and be in no group yet; the group of `old` must end here.
            guard old != new, parents[new] == new, records[new].external == nil, self.records[old].external == nil,
                self.records[old].last == replacement.step, self.records[new].first == replacement.step,
                records[new].bytes <= records[old].bytes
            else { continue }
            parents[new] = old
            self.records[old].last = self.records[new].last
        }
    }

    /// The buffer whose place this one takes.
    func root(_ index: Int) -> Int {
        var index = index
        while parents[index] != index { index = parents[index] }
        return index
    }
}
