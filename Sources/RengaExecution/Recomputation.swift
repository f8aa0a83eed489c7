// Recomputation.swift: values that are not kept for the backward pass but computed again when it first reads them (gradient checkpointing:
// Chen et al. 2016). Not here: which values those are (RecomputationPlanner).
//
// Any set of dropped values gives the same bits: a step runs again on the bits that it ran on before. Batch norm takes the statistics of its
// first run, dropout the same mask; nothing but the value itself is written.
import CRengaKernels
import RengaNetwork

/// What a plan with a byte budget keeps and what it computes twice.
package struct RecomputationReport: Equatable, Sendable {
    /// Bytes of the values that stay in memory from the forward to the backward pass.
    package var keptBytes = 0
    /// Bytes of those that do not.
    package var droppedBytes = 0
    /// Fused steps that run a second time.
    package var steps = 0
    /// Multiply-accumulates of their second runs.
    package var macs = 0
}

/// Which values are dropped, and what each backward pass reads.
struct Recomputation {
    /// Dropped behind the forward pass.
    let dropped: Set<ValueID>
    /// What comes of it.
    var report = RecomputationReport()
    /// By fused step: the values that its backward pass reads.
    private let backwardReads: [[ValueID]]
    /// The fused step that makes each value.
    private let makers: [ValueID: Int]

    /// Everything is kept.
    static let none = Recomputation(dropped: [], backwardReads: [], steps: [])

    init(dropped: Set<ValueID>, backwardReads: [[ValueID]], steps: [FusedStep]) {
        (self.dropped, self.backwardReads) = (dropped, backwardReads)
        makers = Dictionary(uniqueKeysWithValues: steps.enumerated().map { ($1.output, $0) })
    }

    /// The steps to run again, in order, before the backward pass of `group`. `absent`: the dropped values that are not back yet.
    func missing(for group: Int, _ steps: [FusedStep], _ absent: inout Set<ValueID>) -> [Int] {
        guard !absent.isEmpty else { return [] }
        var again: [Int] = []
        var wanted = backwardReads[group]
        while let value = wanted.popLast() {
            guard absent.remove(value) != nil, let maker = makers[value] else { continue }
            again.append(maker)
            wanted += steps[maker].reads
        }
        return again.sorted()
    }
}

extension TrainingEmission {
    /// Chooses what to drop so that the plan and `fixed` bytes besides fit `budget`. Errors: invalidArgument (the least possible is named).
    mutating func fit(
        _ budget: Int, besides fixed: Int, _ graph: Graph, _ settings: EmitterSettings, _ weights: any WeightSource
    ) throws(RengaError) {
        let plain = try measured(graph, settings, weights)
        let problem = RecomputationProblem(
            steps.enumerated().map { index, step in
                let trace = plain.traces[index] ?? StepTrace()
                // The rates of CompiledPlan.usefulThreads.
                return RecomputationStep(
                    output: step.output, reads: step.reads, backwardReads: trace.backwardReads.sorted(),
                    macs: trace.macs, seconds: Double(trace.macs) / 100e9 + Double(trace.bytes) / 20e9)
            }, bytes: graph.shapes.enumerated().map { $1.count.saturatingTimes(plain.types[$0].bytes) })
        let backwardReads = problem.steps.map(\.backwardReads)
        let (base, steps) = (self, steps)
        let planner = RecomputationPlanner(problem) { (dropped) throws(RengaError) in
            var emission = base
            emission.recomputation = Recomputation(dropped: dropped, backwardReads: backwardReads, steps: steps)
            let memory = try ArenaPlan(try emission.measured(graph, settings, weights)).memory
            return memory.arena + memory.scratch
        }
        let choice = try planner.choose(budget: budget - fixed)
        guard choice.bytes <= budget - fixed else {
            throw RengaError(
                .invalidArgument,
                "a memory budget of \(budget) bytes is too small for this training; the least possible is "
                    + "\(choice.bytes + fixed)")
        }
        guard !choice.dropped.isEmpty else { return }
        recomputation = Recomputation(dropped: choice.dropped, backwardReads: backwardReads, steps: steps)
        recomputation.report = report(problem, try measured(graph, settings, weights))
    }

    /// A measuring pass.
    func measured(
        _ graph: Graph, _ settings: EmitterSettings, _ weights: any WeightSource
    ) throws(RengaError) -> Emitter {
        let measuring = Emitter(graph, settings, weights, needsGradient: needsGradient)
        try measuring.emitAll(emit)
        return measuring
    }

    private func report(_ problem: RecomputationProblem, _ emitted: Emitter) -> RecomputationReport {
        var report = RecomputationReport()
        for value in Set(problem.steps.flatMap(\.backwardReads)) where value >= emitted.graph.inputs.count {
            if recomputation.dropped.contains(value) {
                report.droppedBytes += problem.bytes[value]
            } else {
                report.keptBytes += problem.bytes[value]
            }
        }
        for step in emitted.recomputed {
            report.steps += 1
            report.macs += problem.steps[step].macs
        }
        return report
    }
}

extension FusedStep {
    /// Everything that the forward pass reads.
    var reads: [ValueID] { add.map { inputs + [$0] } ?? inputs }
}
