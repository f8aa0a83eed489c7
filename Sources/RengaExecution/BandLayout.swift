// BandLayout.swift: where buffers lie that live in one band alone: in memory of the thread that runs it, planned for a chunk.
// Not here: what more than one step of the program touches (ArenaLayout).
import CRengaKernels
import RengaNetwork

/// A band as the binding pass needs it.
struct BandPlan {
    let images: Int
    let chunks: Int
    /// Where its own buffers lie, by their index: bytes from the beginning of a slot.
    let offsets: [Int: Int]
    /// Where its scratch memory lies in a slot.
    let scratch: Int
    /// Bytes of a slot that it uses.
    let bytes: Int
}

/// The slots of a program's bands: all bands use the same memory, one after the other.
struct BandLayout {
    /// Which band a buffer is local to.
    let homes: [Int: Int]
    /// Bytes from one thread's slot to the next one's.
    let slotBytes: Int
    private let plans: [BandPlan?]

    /// Places what `measured` recorded.
    init(_ measured: Emitter) throws(RengaError) {
        homes = BandLayout.homes(measured)
        (plans, slotBytes) = try BandLayout.planBands(measured, homes)
    }

    /// The band of that index, or nil where its steps did not become one.
    func plan(_ index: Int) -> BandPlan? { plans.indices.contains(index) ? plans[index] : nil }

    /// Where a buffer lies in a slot; nil where it lies in the arena.
    func offset(_ buffer: Int) -> Int? { homes[buffer].flatMap { plans[$0]?.offsets[buffer] } }

    /// Maps that only one band touches.
    private static func homes(_ measured: Emitter) -> [Int: Int] {
        var homes: [Int: Int] = [:]
        for (index, band) in measured.bands.enumerated() {
            guard let band else { continue }
            for buffer in band.touches.keys {
                let record = measured.records[buffer]
                guard record.external == nil, record.extent == .images, record.first == band.step,
                    record.last == band.step
                else { continue }
                homes[buffer] = index
            }
        }
        return homes
    }

    /// Places what lives in each band; the bytes of the largest, which is what each thread gets.
    private static func planBands(
        _ measured: Emitter, _ homes: [Int: Int]
    ) throws(RengaError) -> ([BandPlan?], Int) {
        var plans: [BandPlan?] = []
        var most = 0
        for (index, band) in measured.bands.enumerated() {
            let plan = try band.map { band throws(RengaError) in
                try planBand(measured, band, band.touches.keys.filter { homes[$0] == index }.sorted())
            }
            plans.append(plan)
            most = max(most, plan?.bytes ?? 0)
        }
        // Not a multiple of a page: the same offsets in two slots should not compete for the same sets of a shared cache.
        return (plans, most == 0 ? 0 : (most + 4095) / 4096 * 4096 + Int(RK_ALIGNMENT))
    }

    private static func planBand(
        _ measured: Emitter, _ band: BandRecord, _ locals: [Int]
    ) throws(RengaError) -> BandPlan {
        var records: [BufferRecord] = []
        var places: [Int: Int] = [:]
        for buffer in locals {
            let record = measured.records[buffer]
            var local = BufferRecord(
                name: record.name, bytes: record.bytes / measured.batch * band.images, type: record.type, external: nil,
                extent: .images)
            if let range = band.touches[buffer] { (local.first, local.last) = (range.lowerBound, range.upperBound) }
            places[buffer] = records.count
            records.append(local)
        }
        let replacements = band.replacements.compactMap { replacement -> Replacement? in
            guard let old = places[replacement.old.index], let new = places[replacement.new.index] else { return nil }
            return Replacement(step: replacement.step, old: BufferID(index: old), new: BufferID(index: new))
        }
        let sharing = BufferSharing(records, measured.settings.reuseMemory ? replacements : [])
        let requests = sharing.records.enumerated().map { index, record in
            let bytes = sharing.root(index) == index ? record.bytes : 0
            return MemoryRequest(first: record.first, last: record.last, bytes: bytes)
        }
        let plan = try MemoryPlanner.plan(requests, alignment: Int(RK_ALIGNMENT))
        var offsets: [Int: Int] = [:]
        for (buffer, place) in places { offsets[buffer] = plan.offsets[sharing.root(place)] }
        let scratch = band.scratchFloats.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        let (bytes, overflow) = plan.peak.addingReportingOverflow(scratch.partialValue)
        guard !scratch.overflow, !overflow else {
            throw RengaError(.outOfMemory, "the plan's scratch memory is not addressable")
        }
        return BandPlan(
            images: band.images, chunks: band.chunks, offsets: offsets, scratch: plan.peak, bytes: bytes)
    }

    /// All permissions to write over others in the arena, in order of the steps: those given in a band hold where every chunk of both lies
    /// in the same place, and the one is not needed any more when the other begins.
    func replacements(_ measured: Emitter) -> [Replacement] {
        var all = measured.replacements
        for band in measured.bands {
            guard let band else { continue }
            for replacement in band.replacements {
                let (old, new) = (replacement.old.index, replacement.new.index)
                guard homes[old] == nil, homes[new] == nil, let before = band.touches[old],
                    let after = band.touches[new], measured.records[old].extent == measured.records[new].extent,
                    measured.records[old].bytes == measured.records[new].bytes, before.upperBound <= replacement.step,
                    after.lowerBound >= replacement.step
                else { continue }
                all.append(Replacement(step: band.step, old: replacement.old, new: replacement.new))
            }
        }
        return all.enumerated().sorted { ($0.element.step, $0.offset) < ($1.element.step, $1.offset) }.map(\.element)
    }
}
