// Recipe+Options.swift: a recipe's options by name, with bounds, so that C, Python and checkpoints can hold it as text.
// Not here: what the options do (Recipe, Schedule).
import RengaNetwork

extension Recipe {
    /// Every option with bounds, default and documentation.
    public static var options: [AttributeSpec] { table.map(\.spec) }

    /// Every option's value in text form; ``init(attributes:)`` reads it back to an equal recipe.
    public var encoded: Attributes {
        Dictionary(uniqueKeysWithValues: Recipe.table.map { ($0.spec.name, $0.get(self)) })
    }

    /// The default recipe with these options set, or what is wrong with them.
    public init(attributes: Attributes) throws(RengaError) {
        self.init()
        try set(attributes)
    }

    /// Reads "preset,name=value,…" (the preset may be left out), or says what is wrong.
    public init(text: String) throws(RengaError) {
        self.init()
        let first = text.prefix { $0 != "," }
        guard !first.contains("="), !first.isEmpty else {
            try set(Attributes(text: text))
            return
        }
        self = try Recipe(preset: String(first))
        try set(Attributes(text: String(text.dropFirst(first.count + 1))))
    }

    /// Sets options from text within their bounds, or says what is wrong and leaves the recipe as it was.
    public mutating func set(_ attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Recipe.options, owner: "recipe")
        for option in Recipe.table where reader.isGiven(option.spec.name) {
            try option.set(&self, reader)
        }
    }

    // What f32 rounds to 1 is beyond the bounds of momentum and betas: 1 - beta must stay above 0 in the kernels.
    private static let table: [RecipeOption] = [
        .integer("epochs", \.epochs, 1...1_000_000, "Passes over the training set."),
        .integer("batch", \.batchSize, 1...65_536, "Images in one step."),
        .word("optimizer", \.optimizer, "The rule that turns a gradient into a step."),
        .number("learning_rate", \.learningRate, 0...1e6, "The rate that the schedule's factor multiplies."),
        .word("schedule", \.schedule.shape, "The course of the learning rate."),
        .flag("per_epoch", \.schedule.perEpoch, "Change the rate between epochs only."),
        .number("warmup_epochs", \.schedule.warmupEpochs, 0...1e6, "Length of the linear warm-up in epochs."),
        .number("warmup_start", \.schedule.warmupStart, 0...1, "The warm-up begins at this share of the rate."),
        .number("decay", \.schedule.decay, 0...1, "What each drop of step and multistep multiplies the rate by."),
        .number("step_epochs", \.schedule.stepEpochs, 0.01...1e6, "Epochs between drops of step."),
        .number("first_drop", \.schedule.firstDrop, 0...1, "First drop of multistep, as a share of the training."),
        .number("second_drop", \.schedule.secondDrop, 0...1, "Second drop of multistep; 1 = never."),
        .number("third_drop", \.schedule.thirdDrop, 0...1, "Third drop of multistep; 1 = never."),
        .number("floor", \.schedule.floor, 0...1, "Where cosine ends, as a share of the rate."),
        .number("rise", \.schedule.rise, 0...1, "The share of the training during which onecycle rises."),
        .number("divisor", \.schedule.divisor, 1...1e9, "Onecycle begins at rate / divisor."),
        .number("momentum", \.momentum, 0...0.999999, "SGD: the share of the last velocity that is kept."),
        .flag("nesterov", \.nesterov, "SGD: look ahead along the velocity."),
        .number("beta1", \.beta1, 0...0.999999, "AdamW: decay of the first moment."),
        .number("beta2", \.beta2, 0...0.9999999, "AdamW: decay of the second moment."),
        .number("epsilon", \.epsilon, 1e-30...1, "AdamW: added to the root of the second moment."),
        .number("weight_decay", \.weightDecay, 0...1e3, "Weight decay."),
        .flag("decay_norm", \.decayNorm, "Weight decay touches scale and offset of normalisations."),
        .flag("decay_bias", \.decayBias, "Weight decay touches biases and PReLU slopes."),
        .number("label_smoothing", \.labelSmoothing, 0...0.999, "Share of the target spread over all classes."),
        .number("clip_norm", \.clipNorm, 0...1e30, "Largest Euclidean norm of the gradients; 0 = any."),
        .integer("pad", \.augmentPad, 0...1024, "Shift training images by up to this many pixels each way."),
        .flag("flip", \.augmentFlip, "Mirror training images left to right, each with probability 1/2."),
        .integer("seed", \.seed, 0...Int.max, "Seeds shuffling, augmentation and dropout."),
        .word("precision", \.precision, "What activations and their gradients are held in; parameters are f32."),
    ]
}

/// One option of a recipe: how it is described, read and written.
private struct RecipeOption: Sendable {
    typealias Path<Value> = WritableKeyPath<Recipe, Value> & Sendable

    let spec: AttributeSpec
    let get: @Sendable (Recipe) -> String
    let set: @Sendable (inout Recipe, AttributeReader) throws(RengaError) -> Void

    /// Describes an option whose default is that of a fresh recipe.
    private init(
        _ name: String, _ kind: AttributeKind, _ documentation: String, get: @escaping @Sendable (Recipe) -> String,
        set: @escaping @Sendable (inout Recipe, AttributeReader) throws(RengaError) -> Void
    ) {
        spec = AttributeSpec(name, kind, default: get(Recipe()), documentation)
        self.get = get
        self.set = set
    }

    static func integer(
        _ name: String, _ path: Path<Int>, _ bounds: ClosedRange<Int>, _ documentation: String
    ) -> RecipeOption {
        RecipeOption(name, .integer(bounds), documentation) {
            "\($0[keyPath: path])"
        } set: { (recipe, reader) throws(RengaError) in
            recipe[keyPath: path] = try reader.integer(name)
        }
    }

    static func number(
        _ name: String, _ path: Path<Double>, _ bounds: ClosedRange<Double>, _ documentation: String
    ) -> RecipeOption {
        RecipeOption(name, .number(bounds), documentation) {
            "\($0[keyPath: path])"
        } set: { (recipe, reader) throws(RengaError) in
            recipe[keyPath: path] = try reader.number(name)
        }
    }

    static func flag(_ name: String, _ path: Path<Bool>, _ documentation: String) -> RecipeOption {
        RecipeOption(name, .flag, documentation) {
            $0[keyPath: path] ? "yes" : "no"
        } set: { (recipe, reader) throws(RengaError) in
            recipe[keyPath: path] = try reader.flag(name)
        }
    }

    static func word<Word: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ path: Path<Word>, _ documentation: String
    ) -> RecipeOption {
        RecipeOption(name, .choice(Word.allCases.map(\.rawValue)), documentation) {
            $0[keyPath: path].rawValue
        } set: { (recipe, reader) throws(RengaError) in
            if let word = Word(rawValue: try reader.choice(name)) { recipe[keyPath: path] = word }
        }
    }
}
