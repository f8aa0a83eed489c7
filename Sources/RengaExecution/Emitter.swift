// Emitter.swift: where operators put their kernels: buffers by name, steps in order, twice: once to measure, once to bind.
// Not here: which buffers share memory (ArenaLayout), gradients (Emitter+Backward), parameters and weights (Emitter+Parameters).
//
// The first pass ("measuring") only notes which step touches which buffer: pointers are nil and nothing is added to the program.
// Lifetimes follow from that, so no operator states them and none can state them wrongly. The second pass gets addresses.
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
    private var touchedBytes = 0
    var names = EmitterNames()
    /// Values whose gradient the parameters' gradients depend on.
    let needsGradient: Set<ValueID>
    var context = StepContext()
    /// By fused step, while measuring.
    private(set) var traces: [Int: StepTrace] = [:]
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
    private var gradientsBefore: (known: Set<ValueID>, unwritten: Set<ValueID>)?

    /// Says which fused step the next kernels belong to.
    func begin(group: Int?, name: String, _ passage: Passage = .forward) {
        if passage == .recomputation, let group { recomputed.append(group) }
        context.name = passage == .recomputation ? "\(name): again" : name
        (context.group, context.passage) = (group, passage)
    }

    /// Adds the steps of `body` so that they are skipped in runs where `cell` holds 0; nil: they always run. What is skipped leaves
    /// its buffers as they were, so that whoever reads them must depend on the same cell or be content with anything.
    package func only(
        where cell: UnsafePointer<Int32>?, _ body: () throws(RengaError) -> Void
    ) throws(RengaError) {
        let outside = context.enabled
        context.enabled = cell
        defer { context.enabled = outside }
        try body()
    }

    /// Adds ways to do one thing, each in a call of ``alternative(where:_:)``: at most one of them runs, so that for the lifetimes of
    /// buffers they are one step, and each is the first to write what the others write first.
    func alternatives(_ body: () throws(RengaError) -> Void) throws(RengaError) {
        gradientsBefore = (Set(gradients.keys), unwritten)
        defer { gradientsBefore = nil }
        try body()
        stepCount += 1
    }

    /// One way: its cell must exclude those of the others.
    func alternative(
        where cell: UnsafePointer<Int32>, _ body: () throws(RengaError) -> Void
    ) throws(RengaError) {
        if let before = gradientsBefore {
            unwritten = before.unwritten.union(gradients.keys.filter { !before.known.contains($0) })
        }
        try only(where: cell, body)
    }

    /// Adds a step that sets a buffer to 0.
    func clear(_ buffer: BufferID, _ label: String) throws(RengaError) {
        let args = rk_clear_args(
            bytes: Int64(records[buffer.index].bytes), dst: UnsafeMutableRawPointer(pointer(buffer)))
        try add(rk_clear, args, label)
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

    // MARK: - Steps

    /// Ends a step: adds the kernel while binding. Returns its arguments then.
    @discardableResult
    package func add<Args>(
        _ run: @escaping StepFunction, _ args: Args, _ label: String = "", algorithm: String? = nil, macs: Int = 0
    ) throws(RengaError) -> UnsafeMutablePointer<Args>? {
        defer { endStep() }
        guard band?.isProbe != true else { return nil }
        let macs = band.map { macs / $0.view.images * batch } ?? macs
        guard !isMeasuring else {
            note(macs)
            return nil
        }
        let name = label.isEmpty ? context.name : "\(context.name): \(label)"
        let info = StepInfo(name: name, group: context.group, algorithm: algorithm, macs: macs, bytes: touchedBytes)
        guard let band else { return try program.add(info, run, args, enabled: context.enabled) }
        band.drafts.append(
            BandStepDraft(run: run, words: try BandStepDraft.words(args), info: info, enabled: context.enabled))
        return nil
    }

    /// Copies a value that a step's arguments point to into memory that lives as long as the program. nil while measuring.
    package func keep<Value>(_ value: Value) throws(RengaError) -> UnsafePointer<Value>? {
        try table(1) { $0.initialize(to: value) }
    }

    /// The same for `count` numbers that `fill` writes.
    package func table<Value>(
        _ count: Int, _ fill: (UnsafeMutablePointer<Value>) -> Void
    ) throws(RengaError) -> UnsafePointer<Value>? {
        guard !isMeasuring, band?.isProbe != true else { return nil }
        if let again = band?.known?.popFirst() { return UnsafePointer(again.assumingMemoryBound(to: Value.self)) }
        let made: UnsafeMutablePointer<Value> = try program.room(count)
        fill(made)
        band?.kept.append(UnsafeMutableRawPointer(made))
        return UnsafePointer(made)
    }

    /// Adds a step that copies `old` to `new` of the same type, and drops it where both came to lie in the same place.
    package func copy(_ old: BufferID, to new: BufferID, _ label: String) throws(RengaError) {
        mayReplace(old, by: new)
        let (src, dst) = (pointer(old), pointer(new))
        if !isMeasuring, band?.isProbe != true, src == dst { return endStep() }
        try add(rk_sum, sum(of: [src], to: dst, elements: elements(of: new), type: records[new.index].type), label)
    }

    private func noteRead(_ value: ValueID) {
        guard isMeasuring, band?.isTrial != true, recipes[value] == nil || band == nil else { return }
        guard let group = context.reader ?? (context.passage == .backward ? context.group : nil) else { return }
        traces[group, default: StepTrace()].backwardReads.insert(value)
    }

    private func note(_ macs: Int) {
        guard let group = context.group, context.passage == .forward, band?.isTrial != true else { return }
        traces[group, default: StepTrace()].macs += macs
        traces[group, default: StepTrace()].bytes += touchedBytes
    }

    private func endStep() {
        touchedBytes = 0
        guard let band else { return stepCount += gradientsBefore == nil ? 1 : 0 }
        if !band.isProbe { band.step += 1 }
    }

    /// Arguments of a plain sum of at most `RK_MAX_SUM` terms.
    func sum(
        of terms: [UnsafeMutableRawPointer?], to dst: UnsafeMutableRawPointer?, elements: Int, type: rk_type,
        scale: Float = 1, relu: Bool = false
    ) -> rk_sum_args {
        var args = rk_sum_args()
        (args.isa, args.type) = (isa, type)
        args.count = Int64(elements)
        args.terms = Int32(terms.count)
        args.scale = scale
        args.relu = relu ? 1 : 0
        args.dst = UnsafeMutableRawPointer(dst)
        withUnsafeMutableBytes(of: &args.src) { raw in
            let slots = raw.bindMemory(to: UnsafeRawPointer?.self)
            for (index, term) in terms.enumerated() where index < slots.count { slots[index] = UnsafeRawPointer(term) }
        }
        return args
    }
}
