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
        // SGD with Nesterov momentum 0.9 and weight decay 1e-4 on everything are the default recipe's already. First values are the network's
        // option "init": the families' defaults are their papers'.
        RecipePreset(
            name: "dmrnet-cifar",
            documentation:
                "Merge-and-run networks on CIFAR (Zhao et al. 2016): drops at 1/2, 3/4, 7/8, shift by 4, mirror.",
            options: mergeAndRun.merging(["epochs": "400", "pad": "4", "flip": "yes"]) { $1 }),
        RecipePreset(
            name: "dmrnet-svhn", documentation: "Merge-and-run networks on SVHN (Zhao et al. 2016): no augmentation.",
            options: mergeAndRun.merging(["epochs": "40"]) { $1 }),
        RecipePreset(
            name: "dmrnet-imagenet",
            documentation:
                "Merge-and-run networks on ImageNet (Zhao et al. 2016): drops every 30 of 100 epochs; crops are the caller's.",
            options: imageNet.merging(["batch": "256", "learning_rate": "0.1", "nesterov": "no"]) { $1 }),
        RecipePreset(
            name: "pyramidnet-cifar10",
            documentation:
                "Pyramidal networks on CIFAR-10 (Han et al. 2016): drops at 1/2 and 3/4, shift by 4, mirror.",
            options: pyramid.merging(["learning_rate": "0.1"]) { $1 }),
        RecipePreset(
            name: "pyramidnet-cifar100", documentation: "The same on CIFAR-100, where the rate begins at 0.5.",
            options: pyramid.merging(["learning_rate": "0.5"]) { $1 }),
        RecipePreset(
            name: "pyramidnet-imagenet",
            documentation:
                "Pyramidal networks on ImageNet (Han et al. 2016): drops every 30 of 100 epochs; crops are the caller's.",
            options: imageNet.merging(["learning_rate": "0.05"]) { $1 }),
        RecipePreset(
            name: "sepdrop-cifar",
            documentation:
                "Pyramidal networks with stochastic depth, separated or not, on CIFAR (Yamada et al. 2016): the rate begins at 0.5.",
            options: pyramid.merging(["learning_rate": "0.5"]) { $1 }),
        RecipePreset(
            name: "adamw",
            documentation: "AdamW along a cosine behind a short warm-up, no decay of norms and biases.",
            options: [
                "epochs": "30", "optimizer": "adamw", "learning_rate": "0.001", "schedule": "cosine",
                "warmup_epochs": "1", "weight_decay": "0.05", "decay_norm": "no", "decay_bias": "no",
            ]),
    ]

    private static let mergeAndRun: Attributes = [
        "batch": "64", "learning_rate": "0.1", "schedule": "multistep", "per_epoch": "yes", "third_drop": "0.875",
    ]
    /// The papers count epochs from 1 and drop the rate as epochs 150 and 225 of 300 begin.
    private static let pyramid: Attributes = [
        "epochs": "300", "schedule": "multistep", "per_epoch": "yes", "first_drop": "\(149.0 / 300)",
        "second_drop": "\(224.0 / 300)", "pad": "4", "flip": "yes",
    ]
    private static let imageNet: Attributes = [
        "epochs": "100", "schedule": "step", "per_epoch": "yes", "step_epochs": "30", "flip": "yes",
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
