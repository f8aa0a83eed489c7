// Emitter.swift: where operators put their kernels: buffers by name, steps in order, twice: once to measure, once to bind. Its buffers.
// Not here: its steps (Emitter+Steps), which buffers share memory (ArenaLayout), gradients (Emitter+Backward), parameters and weights
// (Emitter+Parameters).
//
// The first pass ("measuring") only notes which step touches which buffer: pointers are nil and nothing is added to the program.
// Lifetimes follow from that, so no operator states them and none can state them wrongly. The second pass gets addresses.
import CRengaKernels
import RengaNetwork

/// Collects the kernels of one plan. Used by one thread.
package final class Emitter {
    /// The network's structure, with shapes.
    package let graph: Graph
    /// What the plan is for.
    package let settings: EmitterSettings
    /// The steps, while binding.
    package let program = Program()
    let weights: any WeightSource
    /// What each value is held in.
    let types: ValueTypes
    /// Where buffers lie, or nil while measuring.
    let layout: ArenaLayout?

    private(set) var records: [BufferRecord] = []
    var replacements: [Replacement] = []
    var stepCount = 0
    private(set) var scratchFloats = 0
    /// Bytes that the step being prepared touches so far.
    var touchedBytes = 0
    var names = EmitterNames()
    /// Values whose gradient the parameters' gradients depend on.
    let needsGradient: Set<ValueID>
    var context = StepContext()
    /// By fused step, while measuring.
    var traces: [Int: StepTrace] = [:]
    /// The fused steps that run a second time, in order.
    private(set) var recomputed: [Int] = []

    /// Steps that wait for the band that they will be part of.
    var pending: [DeferredSteps] = []
    /// The band being emitted.
    var band: BandEmission?
    /// What the measuring pass learned of each band so far; nil where the steps did not become one.
    var bands: [BandRecord?] = []
    /// True once values may be computed once more instead of having been kept.
    var isBackward = false
    /// How values are computed once more.
    var recipes: [ValueID: DeferredSteps] = [:]

    init(
        _ graph: Graph, _ settings: EmitterSettings, _ weights: any WeightSource, needsGradient: Set<ValueID> = [],
        layout: ArenaLayout? = nil
    ) {
        (self.graph, self.settings, self.weights) = (graph, settings, weights)
        (self.needsGradient, self.layout) = (needsGradient, layout)
        types = ValueTypes(graph, settings.precision, settings.purpose)
    }

    /// True in the first pass: pointers are nil.
    package var isMeasuring: Bool { layout == nil }
    /// Whose kernels.
    package var isa: rk_isa { settings.isa }

    /// True where a step runs a second time, and must leave everything but its output as it is.
    package var isRecomputing: Bool { context.passage == .recomputation }

    /// Gradients so far, of values that have one.
    var gradients: [ValueID: BufferID] {
        get { names.gradients }
        set { names.gradients = newValue }
    }
    /// Values whose gradient has a buffer, but one that the next writer is to overwrite.
    var unwritten: Set<ValueID> = []
    /// Inside ``alternatives(_:)``: the values that had a gradient before, and those that were unwritten.
    var gradientsBefore: (known: Set<ValueID>, unwritten: Set<ValueID>)?

    /// Says which fused step the next kernels belong to.
    func begin(group: Int?, name: String, _ passage: Passage = .forward) {
        if passage == .recomputation, let group { recomputed.append(group) }
        context.name = passage == .recomputation ? "\(name): again" : name
        (context.group, context.passage) = (group, passage)
    }

    // MARK: - Buffers

    /// A new buffer of the arena, alive from the first to the last step that asks for its pointer.
    package func buffer(_ name: String, elements: Int, type: rk_type) throws(RengaError) -> BufferID {
        try buffer(name, elements: elements, type: type, .whole)
    }

    func buffer(
        _ name: String, elements: Int, type: rk_type, _ extent: BufferExtent
    ) throws(RengaError) -> BufferID {
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: type.bytes)
        guard !overflow, elements >= 0 else {
            throw RengaError(.outOfMemory, "buffer '\(name)' has no addressable size")
        }
        return record(BufferRecord(name: name, bytes: bytes, type: type, external: nil, extent: extent))
    }

    /// The same for numbers that are f32 in any precision: statistics, packed weights as their plan counts them.
    package func buffer(_ name: String, floats: Int) throws(RengaError) -> BufferID {
        try buffer(name, elements: floats, type: RK_F32)
    }

    /// A map of a value's size, in the value's or another type.
    func map(_ name: String, like value: ValueID, type: rk_type? = nil) throws(RengaError) -> BufferID {
        try buffer(name, elements: graph.shapes[value].count, type: type ?? types[value], .images)
    }

    /// A buffer that lies outside the arena for as long as the plan lives.
    package func external(
        _ name: String, _ pointer: UnsafeMutablePointer<Float>, floats: Int, isMap: Bool = false
    ) -> BufferID {
        let bytes = floats * MemoryLayout<Float>.stride
        return record(
            BufferRecord(
                name: name, bytes: bytes, type: RK_F32, external: pointer, extent: isMap ? .images : .whole))
    }

    /// In a band the same buffers are made for each view.
    private func record(_ record: BufferRecord) -> BufferID {
        let index = names.count
        names.count += 1
        if index == records.count {
            records.append(record)
        } else if band?.isAgain != true {
            records[index] = record
        }
        return BufferID(index: index)
    }

    /// The buffer of that name: made on first use; the way from a forward to its backward pass.
    package func saved(_ name: String, floats: Int) throws(RengaError) -> BufferID {
        if let known = names.named[name] { return known }
        let made = try buffer(name, floats: floats)
        names.named[name] = made
        return made
    }

    /// The buffer of a value: made on first use.
    package func value(_ value: ValueID) throws(RengaError) -> BufferID {
        noteRead(value)
        if let band, band.isProbe, recipes[value] != nil, !band.recomputed.contains(value) { band.wanted.append(value) }
        if let known = names.values[value] { return known }
        guard context.passage != .backward else {
            throw RengaError(.internalFault, "a backward pass reads '\(graph.name(of: value))', which is not there")
        }
        let made = try map(graph.name(of: value), like: value)
        names.values[value] = made
        return made
    }

    /// Whether a step has asked for the value's buffer.
    func isMade(_ value: ValueID) -> Bool { names.values[value] != nil }

    /// Says that a value lies in a buffer that exists: another value's, or memory outside.
    package func place(_ value: ValueID, in buffer: BufferID) { names.values[value] = buffer }

    /// Says that a value's contents are gone: the next step that asks for it gets a buffer to write it to again.
    func forget(_ value: ValueID) { names.values[value] = nil }

    /// The shape of a value: in a band, that of a chunk.
    package func shape(_ value: ValueID) -> Shape {
        var shape = graph.shapes[value]
        if let band { shape.n = band.view.images }
        return shape
    }

    /// Elements that a buffer holds: in a band, those of a chunk.
    func elements(of buffer: BufferID) -> Int {
        let record = records[buffer.index]
        let all = record.bytes / record.type.bytes
        guard let band, record.extent == .images else { return all }
        return all / batch * band.view.images
    }

    /// Where a buffer of floats lies: parameters, statistics, packed weights. Maps, which may have another type, by ``pointer(_:)``.
    package func floats(_ buffer: BufferID) -> UnsafeMutablePointer<Float>? {
        pointer(buffer)?.assumingMemoryBound(to: Float.self)
    }

    /// Where a buffer lies, and a note that the step being prepared touches it. nil while measuring.
    package func pointer(_ buffer: BufferID) -> UnsafeMutableRawPointer? {
        let index = buffer.index
        touchedBytes += records[index].bytes
        band?.touch(index)
        if band?.isTrial != true, band?.isProbe != true {
            records[index].first = min(records[index].first, stepCount)
            records[index].last = max(records[index].last, stepCount)
        }
        return layout?.pointer(index, records[index], band?.view, batch: batch)
    }

    /// Allows the step being prepared to write `new` where `old` lies, if nothing reads `old` later.
    package func mayReplace(_ old: BufferID, by new: BufferID) {
        if let band {
            guard !band.isProbe else { return }
            band.replacements.append(Replacement(step: band.step, old: old, new: new))
        } else {
            replacements.append(Replacement(step: stepCount, old: old, new: new))
        }
    }

    /// Memory whose contents end with the step being prepared. nil while measuring, or where `floats` is 0.
    package func scratch(_ floats: Int) -> UnsafeMutablePointer<Float>? {
        if let band {
            band.scratchFloats = max(band.scratchFloats, floats)
        } else {
            scratchFloats = max(scratchFloats, floats)
        }
        return floats > 0 ? layout?.scratch(band?.view, band == nil ? nil : bands.count - 1) : nil
    }

    /// Images of the batch.
    var batch: Int { graph.shapes.first?.n ?? 1 }
    /// Threads that may work on one step.
    package var threads: Int { band == nil ? settings.threads : 1 }

    /// Whether the step being prepared has asked for a pointer: steps before it can no longer be added.
    var isPreparing: Bool { touchedBytes > 0 }

    private func noteRead(_ value: ValueID) {
        guard isMeasuring, band?.isTrial != true, recipes[value] == nil || band == nil else { return }
        guard let group = context.reader ?? (context.passage == .backward ? context.group : nil) else { return }
        traces[group, default: StepTrace()].backwardReads.insert(value)
    }
}
