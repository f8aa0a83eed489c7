// Trainer.swift: a network in training: its plan, its optimiser's state and where it stands.
// Not here: the loop over epochs (Trainer+Fit), one step (Trainer+Step), files (Trainer+Checkpoint), evaluation (Evaluation).
import CRengaKernels
import Glibc
import RengaData
import RengaExecution
import RengaNetwork

/// How a trainer runs: without influence on what it computes, but for the last bits where algorithms are chosen.
public struct TrainerOptions: Sendable {
    /// Threads of a step, 1 ... 256; nil = as many as this process may use. Any number gives the same bits.
    public var threads: Int?
    /// The most bytes that the trainer may hold (``Trainer/peakBytes``); nil = as many as it takes. Under a budget activations that do not
    /// fit are computed again before the backward pass reads them: the same bits for more time.
    public var memoryBudget: Int?
    /// Algorithms to force, as `SessionOptions.algorithm`; backward passes take them where they can. nil = the best for each.
    public var algorithm: String?
    /// Whether the best algorithm of each pass is found by timing on this machine, once a shape in the process, instead of by rule. The choice,
    /// and with it the last bits, may differ from one training to the next; a resumed training keeps the one that it began with.
    public var tune = false
    /// What each pass took in the training that this one goes on from.
    var algorithms: [String: String] = [:]
    /// Forces an instruction set; nil = the best of this processor.
    package var isa: rk_isa?

    /// Whether algorithms are the rule's, which a resumed training finds again by itself.
    var isByRule: Bool { algorithm == nil && !tune && algorithms.isEmpty }

    /// The defaults.
    public init(threads: Int? = nil, memoryBudget: Int? = nil) {
        (self.threads, self.memoryBudget) = (threads, memoryBudget)
    }
}

/// A network in training. It starts from a network and a recipe; ``network()`` copies it out at any time.
///
/// Calls from several threads run one after another. A progress callback may call ``network()``, ``save(to:)``, ``history`` and the like on
/// its own trainer; ``fit(_:validation:checkpoint:progress:)`` and ``step(_:labels:)`` are refused there with `busy`.
///
/// Whatever fails or is cancelled, the trainer stands after its last whole step and goes on from there. Where the loss, a gradient
/// or a running statistic is not finite the step that made it counts as not done: parameters, running statistics and the optimiser's state keep their values
/// from before it.
public final class Trainer: @unchecked Sendable {
    /// The recipe.
    public let recipe: Recipe
    /// Threads of a step.
    public let threads: Int
    /// How it runs.
    let options: TrainerOptions

    let lock = TrainerLock()
    let plan: TrainingPlan
    let optimizer: Optimizer
    /// What was given at the start, with metadata that training adds; its parameters are stale until they are stored back.
    var template: Network
    /// Classes that the network tells apart.
    let classes: Int
    /// Running statistics before the present step.
    let statisticsBefore: Buffer
    var position = TrainingPosition()
    var epochRecords: [EpochRecord] = []

    /// Prepares the training of `network`, which must have one input and one output of `[N,1,1,classes]`.
    /// Errors: invalidArgument (recipe, threads, a memory budget below the least possible), unsupported (inputs, outputs), notFound (an
    /// algorithm or its layer), outOfMemory.
    public init(
        _ network: Network, recipe: Recipe = Recipe(), options: TrainerOptions = TrainerOptions()
    ) throws(RengaError) {
        self.recipe = try recipe.validated()
        self.options = options
        let planOptions = try Trainer.planOptions(network, recipe, options)
        (threads, classes) = (planOptions.threads, try Trainer.classes(of: network))
        let isa = planOptions.isa
        plan = try TrainingPlan(network, planOptions)
        optimizer = try Optimizer(recipe, plan, isa: isa)
        statisticsBefore = try Buffer(floats: plan.statisticFloats, for: "the running statistics")
        template = network
        plan.dropoutKey = UInt64(recipe.seed)
        plan.gates?.key = UInt64(recipe.seed)
    }

    /// A copy of the network as it stands now, running statistics and normalisation included.
    public func network() throws(RengaError) -> Network {
        try lock.reading { () throws(RengaError) in try snapshot() }
    }

    /// The finished epochs, in order.
    public var history: [EpochRecord] {
        (try? lock.reading { () throws(RengaError) in epochRecords }) ?? []
    }

    /// Seconds of training since the beginning, evaluations not counted.
    public var seconds: Double {
        (try? lock.reading { () throws(RengaError) in position.earlierSeconds + position.seconds }) ?? 0
    }

    /// Steps since the trainer was made.
    public var steps: Int {
        (try? lock.reading { () throws(RengaError) in position.step }) ?? 0
    }

    func snapshot() throws(RengaError) -> Network {
        var copy = template
        try plan.store(into: &copy)
        return copy
    }

    /// The length of the network's answer.
    package static func classes(of network: Network) throws(RengaError) -> Int {
        guard network.inputs.count == 1, let output = network.outputs.first, network.outputs.count == 1 else {
            throw RengaError(
                .unsupported,
                "training needs a network with one input and one output, this one has \(network.inputs.count) and "
                    + "\(network.outputs.count)")
        }
        let shape = try network.shapes(n: 1)[output]
        guard shape.h == 1, shape.w == 1 else {
            throw RengaError(.unsupported, "training needs an output of [N,1,1,classes], this network makes \(shape)")
        }
        return shape.c
    }
}
