// Recipe.swift: everything that decides a training besides the network and the data: a value.
// Not here: its options by name (Recipe+Options), ready-made recipes (Recipe+Presets), the loop (Trainer).
import RengaExecution
import RengaNetwork

/// The rule that turns a gradient into a step.
public enum OptimizerKind: String, Sendable, CaseIterable {
    /// Stochastic gradient descent with momentum, Nesterov's or the plain kind (Sutskever et al. 2013, in PyTorch's form).
    case sgd
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    case adamw
}

/// How to train a network: a value. Two trainers with equal recipes, networks, data and seeds end with the same bits.
public struct Recipe: Sendable, Equatable {
    /// Passes over the training set.
    public var epochs = 10
    /// Images in one step; the last, incomplete batch of an epoch is left out (the next epoch is shuffled anew).
    public var batchSize = 128
    /// The optimiser.
    public var optimizer = OptimizerKind.sgd
    /// The learning rate that the schedule's factor multiplies.
    public var learningRate = 0.1
    /// The learning rate's course.
    public var schedule = Schedule()
    /// SGD: the share of the last velocity that is kept.
    public var momentum = 0.9
    /// SGD: look ahead along the velocity.
    public var nesterov = true
    /// AdamW: decay of the first moment.
    public var beta1 = 0.9
    /// AdamW: decay of the second moment.
    public var beta2 = 0.999
    /// AdamW: added to the root of the second moment.
    public var epsilon = 1e-8
    /// Weight decay: added to the gradient (SGD), or taken off the weights in proportion to the rate (AdamW).
    public var weightDecay = 1e-4
    /// True: weight decay touches the scale and offset of normalisations too.
    public var decayNorm = true
    /// True: weight decay touches biases and PReLU slopes too.
    public var decayBias = true
    /// Share of the target that is spread evenly over all classes, in 0 ..< 1 (Szegedy et al. 2016).
    public var labelSmoothing = 0.0
    /// Gradients whose Euclidean norm is above this are scaled down to it; 0 = never (Pascanu et al. 2013).
    public var clipNorm = 0.0
    /// Training images are shifted by up to this many pixels each way, the mean colour moving in; 0 = never.
    public var augmentPad = 0
    /// Training images are mirrored left to right, each with probability 1/2.
    public var augmentFlip = false
    /// Seeds shuffling, augmentation and dropout.
    public var seed = 0
    /// The element type of activations and their gradients. Parameters, which checkpoints hold, are f32 in any.
    public var precision = Precision.f32

    /// The default recipe.
    public init() {}

    /// Returns self if every option is within its bounds; otherwise a sentence that names the one that is not.
    public func validated() throws(RengaError) -> Recipe {
        try Recipe(attributes: encoded)
    }
}
