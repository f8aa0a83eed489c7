// TrainingDocuments.swift: recipes and histories as documents.
// Not here: what they say (RengaTraining).
import RengaNetwork
import RengaTraining

extension Recipe {
    /// `{"options":[…],"presets":[{"name","documentation","options":{name: value}}]}`; options as architectures list them.
    public static var listJSONText: String {
        let presets = RecipePreset.all.map { preset -> JSON in
            [
                "name": .text(preset.name), "documentation": .text(preset.documentation),
                "options": .texts(preset.options),
            ]
        }
        let list: JSON = ["options": .list(options.map(\.json)), "presets": .list(presets)]
        return list.description
    }
}

extension Trainer {
    /// `{"recipe":{name: value},"steps","train_seconds","peak_bytes","epochs":[{"epoch","loss","accuracy",
    /// "test_accuracy","test_loss","seconds","learning_rate"}]}`; null where an epoch was not evaluated.
    public var historyJSONText: String {
        let epochs = history.map { epoch -> JSON in
            [
                "epoch": .integer(epoch.epoch), "loss": .number(epoch.loss), "accuracy": .number(epoch.accuracy),
                "test_accuracy": epoch.testAccuracy.map { .number($0) } ?? .null,
                "test_loss": epoch.testLoss.map { .number($0) } ?? .null, "seconds": .number(epoch.seconds),
                "learning_rate": .number(epoch.learningRate),
            ]
        }
        let document: JSON = [
            "recipe": .texts(recipe.encoded), "steps": .integer(steps), "train_seconds": .number(seconds),
            "peak_bytes": .integer(peakBytes), "epochs": .list(epochs),
        ]
        return document.description
    }

    /// `{"steps","gates":[{"layer","survival":[…],"open":[[…],…]}]}`: of the last step, one list of `open` for a batch or for each sample.
    public var gatesJSONText: String {
        let gates = gates.map { gate -> JSON in
            [
                "layer": .text(gate.layer), "survival": .list(gate.survivals.map { .number($0) }),
                "open": .list(gate.open.map { .list($0.map { .flag($0) }) }),
            ]
        }
        let document: JSON = ["steps": .integer(steps), "gates": .list(gates)]
        return document.description
    }
}
