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

/// What every plan is compiled for.
package struct EmitterSettings {
    /// Inference or training.
    package var purpose: Purpose
    /// Whose kernels.
    package var isa: rk_isa
    /// Threads that a run may use.
    package var threads: Int
    /// What values are held in.
    package var precision = Precision.f32
    /// The algorithm to force where it applies.
    package var algorithm: rk_conv_algorithm = RK_CONV_AUTO
    /// Algorithms to force by the layer's name, where they must apply.
    package var layerAlgorithms: [String: rk_conv_algorithm] = [:]
    /// Whether algorithms that are not forced are chosen by timing them.
    package var tune = false
    /// Key and counter of dropout's random stream, read when a step runs.
    package var dropout: (key: UnsafeMutablePointer<UInt64>, counter: UnsafeMutablePointer<UInt64>)?
    /// The gates of stochastic depth of a training plan.
    package var gates: GateTable?
    /// False: every buffer has memory of its own (a test's yardstick).
    package var reuseMemory = true
    /// False: all threads work even where one would be faster (a test's way to see them work).
    package var serialWhereSmall = true

    /// Settings with the rest at their defaults.
    package init(purpose: Purpose, isa: rk_isa, threads: Int) {
        (self.purpose, self.isa, self.threads) = (purpose, isa, threads)
    }
}

/// What the measuring pass learns about a buffer.
struct BufferRecord {
    let name: String
    let bytes: Int
    let type: rk_type
    /// Memory that lies outside the arena, or nil.
    let external: UnsafeMutableRawPointer?
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
    private let layout: ArenaLayout?

    private(set) var records: [BufferRecord] = []
    private(set) var replacements: [Replacement] = []
    private(set) var stepCount = 0
    private(set) var scratchFloats = 0
    private var touchedBytes = 0
    private var named: [String: BufferID] = [:]
    private var values: [ValueID: BufferID] = [:]
    var parameters: [String: BufferID] = [:]
    /// Gradients so far, of values that have one.
    var gradients: [ValueID: BufferID] = [:]
    /// Gradients of this step's inputs in the step's type, where the inputs have another.
    var unsettled: [ValueID: BufferID] = [:]
    /// Values whose gradient the parameters' gradients depend on.
    let needsGradient: Set<ValueID>
    /// The fused step being emitted, and what it is called.
    private var group: Int?
    private var groupName = ""
    /// The cell that the steps being added depend on; nil: they always run.
    private var enabled: UnsafePointer<Int32>?
    private var passage = Passage.forward
    /// By fused step, while measuring.
    private(set) var traces: [Int: StepTrace] = [:]
    /// The fused steps that run a second time, in order.
    private(set) var recomputed: [Int] = []

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
    package var isRecomputing: Bool { passage == .recomputation }

    /// Values whose gradient has a buffer, but one that the next writer is to overwrite.
    var unwritten: Set<ValueID> = []
    /// Inside ``alternatives(_:)``: the values that had a gradient before, and those that were unwritten.
    private var gradientsBefore: (known: Set<ValueID>, unwritten: Set<ValueID>)?

    /// Says which fused step the next kernels belong to.
    func begin(group: Int?, name: String, _ passage: Passage = .forward) {
        self.group = group
        self.passage = passage
        if passage == .recomputation, let group { recomputed.append(group) }
        groupName = passage == .recomputation ? "\(name): again" : name
    }

    /// Adds the steps of `body` so that they are skipped in runs where `cell` holds 0; nil: they always run. What is skipped leaves
    /// its buffers as they were, so that whoever reads them must depend on the same cell or be content with anything.
    package func only(
        where cell: UnsafePointer<Int32>?, _ body: () throws(RengaError) -> Void
    ) throws(RengaError) {
        let outside = enabled
        enabled = cell
        defer { enabled = outside }
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
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: type.bytes)
        guard !overflow, elements >= 0 else {
            throw RengaError(.outOfMemory, "buffer '\(name)' has no addressable size")
        }
        return record(BufferRecord(name: name, bytes: bytes, type: type, external: nil))
    }

    /// The same for numbers that are f32 in any precision: statistics, packed weights as their plan counts them.
    package func buffer(_ name: String, floats: Int) throws(RengaError) -> BufferID {
        try buffer(name, elements: floats, type: RK_F32)
    }

    /// A buffer that lies outside the arena for as long as the plan lives.
    package func external(
        _ name: String, _ pointer: UnsafeMutablePointer<Float>, floats: Int
    ) -> BufferID {
        record(
            BufferRecord(name: name, bytes: floats * MemoryLayout<Float>.stride, type: RK_F32, external: pointer))
    }

    private func record(_ record: BufferRecord) -> BufferID {
        records.append(record)
        return BufferID(index: records.count - 1)
    }

    /// The buffer of that name: made on first use; the way from a forward to its backward pass.
    package func saved(_ name: String, floats: Int) throws(RengaError) -> BufferID {
        if let known = named[name] { return known }
        let made = try buffer(name, floats: floats)
        named[name] = made
        return made
    }

    /// The buffer of a value: made on first use.
    package func value(_ value: ValueID) throws(RengaError) -> BufferID {
        if isMeasuring, passage == .backward, let group {
            traces[group, default: StepTrace()].backwardReads.insert(value)
        }
        if let known = values[value] { return known }
        guard passage != .backward else {
            throw RengaError(.internalFault, "a backward pass reads '\(graph.name(of: value))', which is not there")
        }
        let made = try buffer(graph.name(of: value), elements: graph.shapes[value].count, type: types[value])
        values[value] = made
        return made
    }

    /// Says that a value lies in a buffer that exists: another value's, or memory outside.
    package func place(_ value: ValueID, in buffer: BufferID) { values[value] = buffer }

    /// Says that a value's contents are gone: the next step that asks for it gets a buffer to write it to again.
    func forget(_ value: ValueID) { values[value] = nil }

    /// The shape of a value.
    package func shape(_ value: ValueID) -> Shape { graph.shapes[value] }

    /// Elements that a buffer holds.
    func elements(of buffer: BufferID) -> Int { records[buffer.index].bytes / records[buffer.index].type.bytes }

    /// Where a buffer of floats lies: parameters, statistics, packed weights. Maps, which may have another type, by ``pointer(_:)``.
    package func floats(_ buffer: BufferID) -> UnsafeMutablePointer<Float>? {
        pointer(buffer)?.assumingMemoryBound(to: Float.self)
    }

    /// Where a buffer lies, and a note that the step being prepared touches it. nil while measuring.
    package func pointer(_ buffer: BufferID) -> UnsafeMutableRawPointer? {
        records[buffer.index].first = min(records[buffer.index].first, stepCount)
        records[buffer.index].last = max(records[buffer.index].last, stepCount)
        touchedBytes += records[buffer.index].bytes
        guard let layout else { return nil }
        return records[buffer.index].external ?? layout.pointer(buffer.index)
    }

    /// Allows the step being prepared to write `new` where `old` lies, if nothing reads `old` later.
    package func mayReplace(_ old: BufferID, by new: BufferID) {
        replacements.append(Replacement(step: stepCount, old: old, new: new))
    }

    /// Memory whose contents end with the step being prepared. nil while measuring, or where `floats` is 0.
    package func scratch(_ floats: Int) -> UnsafeMutablePointer<Float>? {
        scratchFloats = max(scratchFloats, floats)
        return floats > 0 ? layout?.scratch : nil
    }

    /// Whether the step being prepared has asked for a pointer: steps before it can no longer be added.
    var isPreparing: Bool { touchedBytes > 0 }

    // MARK: - Steps

    /// Ends a step: adds the kernel while binding. Returns its arguments then.
    @discardableResult
    package func add<Args>(
        _ run: @escaping StepFunction, _ args: Args, _ label: String = "", algorithm: String? = nil, macs: Int = 0
    ) throws(RengaError) -> UnsafeMutablePointer<Args>? {
        defer { endStep() }
        guard !isMeasuring else {
            note(macs)
            return nil
        }
        let name = label.isEmpty ? groupName : "\(groupName): \(label)"
        let info = StepInfo(name: name, group: group, algorithm: algorithm, macs: macs, bytes: touchedBytes)
        return try program.add(info, run, args, enabled: enabled)
    }

    /// Copies a value that a step's arguments point to into memory that lives as long as the program. nil while measuring.
    package func keep<Value>(_ value: Value) throws(RengaError) -> UnsafePointer<Value>? {
        isMeasuring ? nil : UnsafePointer(try program.keep(value))
    }

    /// Adds a step that copies `old` to `new` of the same type, and drops it where both came to lie in the same place.
    package func copy(_ old: BufferID, to new: BufferID, _ label: String) throws(RengaError) {
        mayReplace(old, by: new)
        let (src, dst) = (pointer(old), pointer(new))
        if !isMeasuring, src == dst { return endStep() }
        try add(rk_sum, sum(of: [src], to: dst, elements: elements(of: new), type: records[new.index].type), label)
    }

    private func note(_ macs: Int) {
        guard let group, passage == .forward else { return }
        traces[group, default: StepTrace()].macs += macs
        traces[group, default: StepTrace()].bytes += touchedBytes
    }

    private func endStep() {
        if gradientsBefore == nil { stepCount += 1 }
        touchedBytes = 0
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
