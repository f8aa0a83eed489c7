// Recipe+Presets.swift: ready-made recipes by name.
// Not here: the options that they set (Recipe).
import RengaNetwork

/// A ready-made recipe.
public struct RecipePreset: Sendable {
    /// The name in options and messages.
    public let name: String
    /// What it is good for, in one sentence.
    public let documentation: String
    /// The options that it sets, over the default recipe.
    public let options: Attributes

    /// The presets by name; the first is the default recipe.
    public static let all = [
        RecipePreset(
            name: "default", documentation: "SGD with momentum at a constant rate: a start for experiments.",
            options: [:]),
        RecipePreset(
            name: "fast",
            documentation:
                "One-cycle over three epochs: a residual network of 8 layers learns Fashion-MNIST to 91 % in about a minute.",
            options: [
                "epochs": "3", "batch": "64", "learning_rate": "0.2", "schedule": "onecycle", "weight_decay": "5e-4",
                "flip": "yes",
            ]),
        RecipePreset(
            name: "resnet-cifar",
            documentation: "Residual networks on CIFAR as in He et al. 2016: drops at 1/2 and 3/4, shift by 4, mirror.",
            options: [
                "epochs": "164", "learning_rate": "0.1", "schedule": "multistep", "warmup_epochs": "1",
                "nesterov": "no", "weight_decay": "1e-4", "pad": "4", "flip": "yes",
            ]),
        RecipePreset(
            name: "adamw",
            documentation: "AdamW along a cosine behind a short warm-up, no decay of norms and biases.",
            options: [
                "epochs": "30", "optimizer": "adamw", "learning_rate": "0.001", "schedule": "cosine",
                "warmup_epochs": "1", "weight_decay": "0.05", "decay_norm": "no", "decay_bias": "no",
            ]),
    ]
}

extension Recipe {
    /// The preset of this name, or a sentence that lists the known ones.
    public init(preset name: String) throws(RengaError) {
        guard let preset = RecipePreset.all.first(where: { $0.name == name }) else {
            let known = RecipePreset.all.map(\.name).joined(separator: ", ")
            throw RengaError(.notFound, "no recipe is called '\(name.prefix(80))'; known: \(known)")
        }
        try self.init(attributes: preset.options)
    }
}
