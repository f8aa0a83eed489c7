// Program.swift: the steps of a plan as the kernels' runtime wants them: a C array whose arguments stay where they are.
// Not here: which steps there are (the operators), where their buffers lie (Emitter).
import CRengaKernels
import RengaNetwork

/// A kernel as a step of a program: `rk_step_fn` where it is never NULL.
package typealias StepFunction = @convention(c) (UnsafeRawPointer?, UnsafePointer<rk_team>?) -> Void

/// What a profile says about one step.
package struct StepInfo: Sendable {
    /// What it does, for people: "conv1: backward weight".
    package var name: String
    /// The fused step that it belongs to, or nil for steps around them (import, loss, optimiser).
    package var group: Int?
    /// The algorithm chosen, where there was a choice.
    package var algorithm: String?
    /// Multiply-accumulates.
    package var macs: Int
    /// Bytes of the buffers that it touches.
    package var bytes: Int
    /// Whether the step is skipped in some runs.
    package var isConditional = false

    /// Describes a step.
    package init(name: String, group: Int? = nil, algorithm: String? = nil, macs: Int = 0, bytes: Int = 0) {
        self.name = name
        self.group = group
        self.algorithm = algorithm
        self.macs = macs
        self.bytes = bytes
    }
}

/// Steps in order, run in one parallel region, with the memory of their arguments. Not safe to share: one run at a time.
package final class Program {
    private var steps: [rk_step] = []
    private var arguments: [UnsafeMutableRawPointer] = []
    private var bands: [(step: Int, args: UnsafeMutablePointer<rk_band_args>)] = []
    /// Set non-zero by a step (or another thread) to end the run before the next step; cleared when a run begins.
    package let stop: UnsafeMutablePointer<Int32>
    /// Whether the last run ended early.
    package private(set) var wasStopped = false
    /// What each step is; the steps of a band stand for it.
    package private(set) var infos: [StepInfo] = []

    /// An empty program.
    package init() {
        stop = .allocate(capacity: 1)
        stop.initialize(to: 0)
    }

    deinit {
        for block in arguments { rk_free(block) }
        stop.deallocate()
    }

    /// Number of steps; a band is one.
    package var count: Int { steps.count }

    /// Copies a value (an argument, or what an argument points to) into memory that lives as long as the program.
    /// `Value` must be a plain C struct: nothing is destroyed at the end.
    package func keep<Value>(_ value: Value) throws(RengaError) -> UnsafeMutablePointer<Value> {
        guard let block = rk_alloc(MemoryLayout<Value>.size) else {
            throw RengaError(.outOfMemory, "no memory for the arguments of a step")
        }
        arguments.append(block)
        return block.initializeMemory(as: Value.self, to: value)
    }

    /// The same for an array; nil for none.
    func keep<Value>(array: [Value]) throws(RengaError) -> UnsafeMutablePointer<Value>? {
        guard !array.isEmpty else { return nil }
        let values: UnsafeMutablePointer<Value> = try room(array.count)
        for (index, value) in array.enumerated() { (values + index).initialize(to: value) }
        return values
    }

    /// Memory for `count` plain values, contents unset, that lives as long as the program.
    func room<Value>(_ count: Int) throws(RengaError) -> UnsafeMutablePointer<Value> {
        let (bytes, overflow) = MemoryLayout<Value>.stride.multipliedReportingOverflow(by: count)
        guard !overflow, bytes >= 0, let block = rk_alloc(bytes) else {
            throw RengaError(.outOfMemory, "no memory for \(count) arguments of a step")
        }
        arguments.append(block)
        return block.bindMemory(to: Value.self, capacity: max(count, 1))
    }

    /// Bands so far.
    var bandCount: Int { bands.count }

    /// Appends a band, whose steps are described by `infos`.
    func addBand(_ args: rk_band_args, _ infos: [StepInfo]) throws(RengaError) {
        let kept = try keep(args)
        bands.append((steps.count, kept))
        steps.append(rk_step(run: rk_band, args: UnsafeRawPointer(kept), enabled: nil))
        self.infos += infos
    }

    /// Appends a step with a copy of its arguments, which it returns: they may be patched between runs.
    /// enabled: nil = it always runs; else a cell that outlives the program, and the step is skipped where it holds 0.
    @discardableResult
    package func add<Args>(
        _ info: StepInfo, _ run: @escaping StepFunction, _ args: Args, enabled: UnsafePointer<Int32>? = nil
    ) throws(RengaError) -> UnsafeMutablePointer<Args> {
        let kept = try keep(args)
        steps.append(rk_step(run: run, args: UnsafeRawPointer(kept), enabled: enabled))
        var info = info
        info.isConditional = enabled != nil
        infos.append(info)
        return kept
    }

    /// Appends a step that no fused step stands behind (an optimiser's).
    @discardableResult
    package func add<Args>(
        _ name: String, _ run: @escaping StepFunction, _ args: Args
    ) throws(RengaError) -> UnsafeMutablePointer<Args> {
        try add(StepInfo(name: name), run, args)
    }

    /// Runs all steps on at most `threads` threads; the result is the same for any number.
    package func run(threads: Int) { run(steps, threads, nil) }

    /// Runs `other` and then this program's steps from `first` on, in one region.
    package func run(threads: Int, after other: Program, from first: Int) {
        run(other.steps + steps.dropFirst(first), threads, nil)
    }

    /// Runs `runs` times; returns the seconds of each of `infos` in the run that took least. Not each one's own least: threads take work from
    /// each other, so that a step may find all of its work done by one that was ahead. A band's time is shared among its steps as its threads
    /// spent it.
    package func profile(threads: Int, runs: Int) -> [Double] {
        var fastest: [Double] = []
        var least = Double.infinity
        let rows = max(threads, 1)
        let cells = bands.map { band in
            UnsafeMutableBufferPointer<Double>.allocate(capacity: rows * band.args.pointee.count)
        }
        for (band, cells) in zip(bands, cells) { band.args.pointee.seconds = cells.baseAddress }
        defer {
            for (band, cells) in zip(bands, cells) {
                band.args.pointee.seconds = nil
                cells.deallocate()
            }
        }
        for _ in 0..<max(runs, 1) {
            for cells in cells { cells.initialize(repeating: 0) }
            var seconds = [Double](repeating: 0, count: steps.count)
            seconds.withUnsafeMutableBufferPointer { run(steps, threads, $0.baseAddress) }
            let times = apart(seconds, cells, rows)
            let total = times.reduce(0, +)
            if total < least { (fastest, least) = (times, total) }
        }
        return fastest
    }

    /// The steps' times with those of bands taken apart.
    private func apart(_ seconds: [Double], _ cells: [UnsafeMutableBufferPointer<Double>], _ rows: Int) -> [Double] {
        var times: [Double] = []
        var next = 0
        for (step, time) in seconds.enumerated() {
            guard next < bands.count, bands[next].step == step else {
                times.append(time)
                continue
            }
            let count = bands[next].args.pointee.count
            let spent = (0..<count).map { inner in (0..<rows).reduce(0) { $0 + cells[next][$1 * count + inner] } }
            let total = spent.reduce(0, +)
            times += spent.map { total > 0 ? time * $0 / total : 0 }
            next += 1
        }
        return times
    }

    private func run(_ steps: [rk_step], _ threads: Int, _ seconds: UnsafeMutablePointer<Double>?) {
        stop.pointee = 0
        let team = Int32(clamping: min(max(threads, 1), Int(RK_MAX_THREADS)))
        wasStopped = steps.withUnsafeBufferPointer { rk_run($0.baseAddress, $0.count, team, seconds, stop) } != 0
    }
}
