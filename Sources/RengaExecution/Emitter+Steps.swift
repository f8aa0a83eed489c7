// Emitter+Steps.swift: how kernels become steps of the program: their arguments, the tables that these point to, steps that run in some
// runs only, what a step costs.
// Not here: buffers (Emitter), steps that wait for a band (Emitter+Bands).
import CRengaKernels
import RengaNetwork

extension Emitter {
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
