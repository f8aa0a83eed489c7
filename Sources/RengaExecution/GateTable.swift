// GateTable.swift: the gates of stochastic depth in a training plan: what is drawn before a run, and the cells in memory by which steps
// are skipped. Not here: the law of the draws (RengaNetwork.StochasticGate), what depends on which gate (GateTable+Needs), what is emitted
// around a gate (GatedStep) and instead of work that is left out (GateTable+Backward).
//
// A value is needed only where one of its readers is: what leads to a gate alone is needed where that gate is open. The gradient behind
// a closed gate is zero, so that backward work there is always left out; forward work is where the gate's layer says so.
import CRengaKernels
import RengaNetwork

/// The gates of one layer in one draw.
public struct GateRecord: Equatable, Sendable {
    /// The layer.
    public let layer: String
    /// Survival probability of each gate: one, or that of the channels with a shortcut and that of the others.
    public let survivals: [Double]
    /// Whether each gate was open: one entry for the batch, or one for each sample.
    public let open: [[Bool]]
}

/// All gates of a plan. Cells are written by ``draw()`` only, before a run.
package final class GateTable {
    /// Which pass a condition is for.
    enum Pass: Hashable { case forward, backward }

    /// When a step runs.
    enum Condition: Hashable {
        /// The work that leads to the fused step of that index is needed.
        case needed(Pass, step: Int)
        /// It is not, or its own gate is closed: what its backward pass would write is 0.
        case idle(step: Int)
        /// The step's output has no gradient.
        case unneeded(step: Int)
        /// The gate in that step is to do its work with all gates open, with some or all of them closed, or not at all.
        case allOpen(Pass, step: Int)
        case partlyOpen(Pass, step: Int)
        case closed(Pass, step: Int)
        /// One of the two gates in that step is closed while the other one is open.
        case partClosed(step: Int, part: Int)
        /// That convolution is needed, but for the channels of its ``narrowPart(_:_:)`` alone, or for others as well.
        case narrow(Pass, step: Int)
        case wide(Pass, step: Int)
    }

    /// One gate layer.
    final class Entry {
        let name: String
        let op: StochasticGate
        /// Its node.
        let node: Int
        /// The fused step that it is in.
        let step: Int
        /// `[C]`, what a gate for the whole batch multiplies by; then C zeros.
        let factors: Buffer
        /// `[N,2]` of gates for each sample.
        let values: Buffer
        fileprivate let draws: StochasticGate.Draws
        fileprivate var open: [[Bool]]
        /// Whether any gate is open and what it lets through is needed.
        fileprivate var isOpen: [Pass: Bool] = [.forward: true, .backward: true]

        init(_ graph: Graph, node: Int, _ op: StochasticGate, step: Int) throws(RengaError) {
            let shape = graph.shapes[graph.value(ofNode: node)]
            let name = graph.nodes[node].name
            (self.name, self.op, self.node, self.step) = (name, op, node, step)
            factors = try Buffer(floats: 2 * shape.c, for: "the gates of '\(name)'")
            let samples = op.scope == .batch ? 1 : shape.n
            values = try Buffer(floats: 2 * samples, for: "the gates of '\(name)'")
            draws = StochasticGate.Draws(op, name: name)
            open = Array(repeating: op.survivals.map { _ in true }, count: samples)
            for c in 0..<shape.c { factors.floats[c] = 1 }
            for i in 0..<2 * samples { values.floats[i] = 1 }
        }

        /// Gates of the layer.
        var parts: Int { op.survivals.count }
    }

    /// The key of the gates' random stream.
    package var key: UInt64 = 0
    /// The number of the next draw: another one for each step.
    package var counter: UInt64 = 0

    /// Layers with gates, by fused step, in order.
    private let entries: [Entry]
    let entryOfStep: [Int: Int]
    /// For each fused step the entries of which one must be open; nil: it is always needed.
    let needs: [Pass: [Set<Int>?]]
    var needOfValue: [ValueID: Set<Int>?] = [:]
    /// By fused step.
    private var narrowParts: [Int: NarrowPart] = [:]
    let skips: Bool
    private var cells: [Condition: UnsafeMutablePointer<Int32>] = [:]
    private var blocks: [Buffer] = []
    private var forced: [String: [Bool]]?

    /// The gates in `steps`; nil where there are none. `skips` false: everything runs, closed or not (a test's yardstick).
    init?(_ graph: Graph, _ steps: [FusedStep], skips: Bool) throws(RengaError) {
        var entries: [Entry] = []
        var entryOfStep: [Int: Int] = [:]
        for (index, step) in steps.enumerated() {
            guard let node = step.gateNode(in: graph), let op = graph.nodes[node].op as? StochasticGate else {
                continue
            }
            entryOfStep[index] = entries.count
            entries.append(try Entry(graph, node: node, op, step: index))
        }
        guard !entries.isEmpty else { return nil }
        (self.entries, self.entryOfStep, self.skips) = (entries, entryOfStep, skips)
        let always = [Set<Int>?](repeating: nil, count: steps.count)
        guard skips else {
            needs = [.forward: always, .backward: always]
            return
        }
        let values = GateTable.needs(graph, steps, entryOfStep)
        needOfValue = values
        let backward = steps.map { values[$0.output] ?? nil }
        let forward = backward.map { need in
            need.flatMap { $0.allSatisfy { entries[$0].op.closed == .skip } ? $0 : nil }
        }
        needs = [.forward: forward, .backward: backward]
        narrowParts = GateTable.narrowParts(graph, steps, entries, entryOfStep)
    }
}

// MARK: - Drawing

extension GateTable {
    /// Gates by layer that take the place of the drawn ones from the next draw on, one entry for each gate of the layer, for all samples;
    /// nil: all are drawn. Errors: notFound (a layer), invalidArgument (their number).
    package func force(_ gates: [String: [Bool]]?) throws(RengaError) {
        for (name, open) in gates ?? [:] {
            guard let entry = entries.first(where: { $0.name == name }) else {
                throw RengaError(.notFound, "the network has no gate in a layer '\(name.prefix(200))'")
            }
            guard open.count == entry.parts else {
                throw RengaError(
                    .invalidArgument, "layer '\(name)' has \(entry.parts) gate(s), got values for \(open.count)")
            }
        }
        forced = gates
    }

    /// The gates of the last draw, in the order of the layers.
    package var records: [GateRecord] {
        entries.map { GateRecord(layer: $0.name, survivals: $0.op.survivals, open: $0.open) }
    }

    /// Draws all gates for the present key and counter and sets every cell.
    func draw() {
        // From the last layer to the first: whether a gate's work is needed depends on gates behind it.
        for entry in entries.reversed() {
            let samples = entry.open.count
            for sample in 0..<samples {
                let index = counter &* UInt64(samples) &+ UInt64(sample)
                entry.open[sample] = forced?[entry.name] ?? entry.draws.open(seed: key, index: index)
                for part in 0..<2 {
                    entry.values.floats[2 * sample + part] = entry.open[sample][min(part, entry.parts - 1)] ? 1 : 0
                }
            }
            let c = entry.factors.bytes / (2 * MemoryLayout<Float>.stride)
            for (part, channels) in entry.op.channels(c).enumerated() {
                for channel in channels { entry.factors.floats[channel] = entry.open[0][part] ? 1 : 0 }
            }
            let isOpen = entry.open.contains { $0.contains(true) }
            for pass in [Pass.forward, .backward] {
                entry.isOpen[pass] = isOpen && isNeeded(pass, entry.step)
            }
        }
        for (condition, cell) in cells { cell.pointee = holds(condition) ? 1 : 0 }
    }

    private func isNeeded(_ pass: Pass, _ step: Int) -> Bool {
        guard let need = needs[pass]?[step] else { return true }
        return need.contains { entries[$0].isOpen[pass] == true }
    }

    private func holds(_ condition: Condition) -> Bool {
        switch condition {
        case .needed(let pass, let step): return isNeeded(pass, step)
        case .unneeded(let step): return !isNeeded(.backward, step)
        case .idle(let step): return !isNeeded(.backward, step) || entry(step)?.isOpen[.backward] == false
        case .allOpen(let pass, let step):
            return isNeeded(pass, step) && entry(step)?.open.allSatisfy { $0.allSatisfy { $0 } } == true
        case .partlyOpen(let pass, let step):
            guard let entry = entry(step), isNeeded(pass, step) else { return false }
            let isAll = entry.open.allSatisfy { $0.allSatisfy { $0 } }
            return !isAll && (entry.isOpen[pass] == true || !canSkip(pass, step))
        case .closed(let pass, let step):
            return isNeeded(pass, step) && canSkip(pass, step) && entry(step)?.isOpen[pass] == false
        case .partClosed(let step, let part):
            guard let open = entry(step)?.open[0] else { return false }
            return open.contains(true) && !open[min(part, open.count - 1)]
        case .narrow(let pass, let step): return isNeeded(pass, step) && isNarrow(step)
        case .wide(let pass, let step): return isNeeded(pass, step) && !isNarrow(step)
        }
    }
}

// MARK: - What is emitted

extension GateTable {
    /// The channels of a convolution that are in some runs the only ones needed; nil: there are none, or all are computed in any run.
    func narrowPart(_ pass: Pass, _ step: Int) -> NarrowPart? {
        narrowParts[step].flatMap { canSkip(pass, entries[$0.entry].step) ? $0 : nil }
    }

    /// Whether of the two gates behind that convolution only the one of fewer channels is open.
    private func isNarrow(_ step: Int) -> Bool {
        guard let narrow = narrowParts[step] else { return false }
        let open = entries[narrow.entry].open[0]
        return open[narrow.part] && !open[1 - narrow.part]
    }

    /// The gate in the fused step of that index.
    func entry(_ step: Int) -> Entry? { entryOfStep[step].map { entries[$0] } }

    /// The gate of that node.
    func entry(ofNode node: Int) -> Entry? { entries.first { $0.node == node } }

    /// Whether nothing runs in that step where its gate is closed.
    func canSkip(_ pass: Pass, _ step: Int) -> Bool {
        skips && (pass == .backward || entry(step)?.op.closed == .skip)
    }

    /// The cell that says whether the condition holds in the present run. Valid as long as the table.
    func cell(_ condition: Condition) throws(RengaError) -> UnsafePointer<Int32> {
        if let known = cells[condition] { return UnsafePointer(known) }
        let block = try Buffer(bytes: MemoryLayout<Int32>.stride, for: "a condition")
        blocks.append(block)
        let cell = block.base.bindMemory(to: Int32.self, capacity: 1)
        cell.pointee = holds(condition) ? 1 : 0
        cells[condition] = cell
        return UnsafePointer(cell)
    }

    /// The cell of `.needed`, or nil where the step always is.
    func cellOfNeed(_ pass: Pass, _ step: Int) throws(RengaError) -> UnsafePointer<Int32>? {
        guard needs[pass]?[step] != nil else { return nil }
        return try cell(.needed(pass, step: step))
    }
}
