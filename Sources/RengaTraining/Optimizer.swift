// Optimizer.swift: the state of SGD or AdamW over a plan's flat blob of parameters, and the steps that use it.
// Not here: the rate's course (Schedule), the formulas (rk_training.h).
import CRengaKernels
import RengaExecution
import RengaNetwork

/// The arguments of the gate between the gradients and the update.
private struct GateArguments {
    var loss: UnsafePointer<Double>
    var squareSum: UnsafePointer<Double>
    var clipNorm: Double
    var gradientScale: UnsafeMutablePointer<Float>
    var statistics: UnsafePointer<Float>
    var statisticCount: Int
    var stop: UnsafeMutablePointer<Int32>
}

/// An optimiser: its steps stand in the plan's program behind backward, so that a training step is one parallel region.
///
/// The update is gated: where the loss, a gradient or a running statistic is not finite the program ends before anything but
/// the running statistics has moved.
final class Optimizer {
    /// State by name, each over the whole parameter blob: "velocity", or "first" and "second".
    let state: [(name: String, buffer: Buffer)]

    /// The learning rate, read by the next step.
    let rate: UnsafeMutablePointer<Float>
    /// The number of the next step, from 1: AdamW's bias correction reads it.
    let time: UnsafeMutablePointer<Int64>
    private let squareSum: UnsafeMutablePointer<Double>
    private let gradientScale: UnsafeMutablePointer<Float>
    private let ranges: Buffer
    private let squareScratch: Buffer

    /// Makes the state (zeros) and adds the steps to the plan's program, which keeps what they read.
    init(_ recipe: Recipe, _ plan: TrainingPlan, isa: rk_isa) throws(RengaError) {
        let count = plan.parameterFloats
        let names = Optimizer.stateNames(recipe)
        var state: [(name: String, buffer: Buffer)] = []
        for name in names { state.append((name, try Buffer(floats: count, for: "the optimiser's state '\(name)'"))) }
        self.state = state
        let scratchCount = rk_square_sum_scratch(Int64(count))
        squareScratch = try Buffer(bytes: scratchCount * MemoryLayout<Double>.stride, for: "the gradient's norm")
        rate = try plan.program.keep(0)
        time = try plan.program.keep(0)
        squareSum = try plan.program.keep(0)
        gradientScale = try plan.program.keep(1)
        let settings = Optimizer.ranges(recipe, plan.trainable)
        let rangeBytes = settings.count * MemoryLayout<rk_parameter_range>.stride
        ranges = try Buffer(bytes: rangeBytes, for: "the optimiser's settings")
        let first = ranges.base.bindMemory(to: rk_parameter_range.self, capacity: settings.count)
        for (index, range) in settings.enumerated() { (first + index).initialize(to: range) }
        let rule = Rule(isa: isa, ranges: UnsafePointer(first), rangeCount: Int64(settings.count))
        try addGate(recipe, plan)
        switch recipe.optimizer {
        case .sgd: try addSGD(recipe, plan, rule)
        case .adamw: try addAdamW(recipe, plan, rule)
        }
    }

    /// The Euclidean norm of the last step's gradients, before clipping.
    var gradientNorm: Double { squareSum.pointee.squareRoot() }

    private static func stateNames(_ recipe: Recipe) -> [String] {
        recipe.optimizer == .sgd ? ["velocity"] : ["first", "second"]
    }

    /// Bytes of the state over a parameter blob of `floats`.
    static func bytes(_ recipe: Recipe, floats: Int) -> Int {
        stateNames(recipe).count * floats * MemoryLayout<Float>.stride
            + rk_square_sum_scratch(Int64(floats)) * MemoryLayout<Double>.stride
    }

    /// One range for each run of neighbouring parameters with the same weight decay.
    static func ranges(_ recipe: Recipe, _ slots: [TrainingPlan.Slot]) -> [rk_parameter_range] {
        var ranges: [rk_parameter_range] = []
        for slot in slots {
            let decays =
                switch slot.role {
                case .gamma, .beta: recipe.decayNorm
                case .bias, .slope: recipe.decayBias
                default: true
                }
            let decay = decays ? Float(recipe.weightDecay) : 0
            let end = Int64(slot.offset + slot.count)
            if let last = ranges.last, last.weight_decay == decay {
                // The padding between two slots is zero in parameters and gradients, and stays so under any update.
                ranges[ranges.count - 1].end = end
            } else {
                ranges.append(
                    rk_parameter_range(begin: Int64(slot.offset), end: end, weight_decay: decay, rate_scale: 1))
            }
        }
        return ranges
    }
}

// MARK: - Steps

extension Optimizer {
    /// What the two updates share.
    private struct Rule {
        let isa: rk_isa
        let ranges: UnsafePointer<rk_parameter_range>
        let rangeCount: Int64
    }

    private func addGate(_ recipe: Recipe, _ plan: TrainingPlan) throws(RengaError) {
        try plan.program.add(
            "gradient norm", rk_square_sum,
            rk_square_sum_args(
                count: Int64(plan.parameterFloats), src: plan.gradients, result: squareSum,
                scratch: squareScratch.base.assumingMemoryBound(to: Double.self)))
        let gate = GateArguments(
            loss: plan.loss, squareSum: squareSum, clipNorm: recipe.clipNorm, gradientScale: gradientScale,
            statistics: plan.runningStatistics, statisticCount: plan.statisticFloats, stop: plan.program.stop)
        try plan.program.add("gate", Optimizer.gate, gate)
    }

    /// Stops the program where the loss, a gradient or a running statistic is not finite; else sets the factor that clips the gradients.
    private static let gate: StepFunction = { arguments, team in
        guard let arguments, let team, team.pointee.tid == 0 else { return }
        let gate = arguments.assumingMemoryBound(to: GateArguments.self).pointee
        let norm = gate.squareSum.pointee.squareRoot()
        // A variance may overflow where the loss does not.
        let statistics = UnsafeBufferPointer(start: gate.statistics, count: gate.statisticCount)
        let isFinite = norm.isFinite && gate.loss.pointee.isFinite && statistics.allSatisfy(\.isFinite)
        if !isFinite { gate.stop.pointee = 1 }
        // The small term is that of PyTorch's clip_grad_norm_.
        gate.gradientScale.pointee = gate.clipNorm > 0 ? Float(min(1, gate.clipNorm / (norm + 1e-6))) : 1
    }

    private func addSGD(_ recipe: Recipe, _ plan: TrainingPlan, _ rule: Rule) throws(RengaError) {
        try plan.program.add(
            "sgd", rk_sgd,
            rk_sgd_args(
                isa: rule.isa, ranges: rule.ranges, range_count: rule.rangeCount, gradient: plan.gradients,
                parameter: plan.parameters, velocity: state[0].buffer.floats, rate: rate,
                gradient_scale: gradientScale, momentum: Float(recipe.momentum), nesterov: recipe.nesterov ? 1 : 0))
    }

    private func addAdamW(_ recipe: Recipe, _ plan: TrainingPlan, _ rule: Rule) throws(RengaError) {
        try plan.program.add(
            "adamw", rk_adamw,
            rk_adamw_args(
                isa: rule.isa, ranges: rule.ranges, range_count: rule.rangeCount, gradient: plan.gradients,
                parameter: plan.parameters, first: state[0].buffer.floats, second: state[1].buffer.floats, rate: rate,
                gradient_scale: gradientScale, step: time, beta1: Float(recipe.beta1), beta2: Float(recipe.beta2),
                epsilon: Float(recipe.epsilon)))
    }
}
