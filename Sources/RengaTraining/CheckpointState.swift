// CheckpointState.swift: what a checkpoint holds besides numbers of the network and the optimiser, as text and back.
// Random streams need no entry: shuffling, augmentation, dropout and gates are functions of the recipe's seed and the position.
// Not here: tensors and files (Trainer+Checkpoint).
import RengaNetwork

/// Recipe, position and history of a training.
struct CheckpointState: Equatable {
    /// Raised when the meaning of any entry changes. A version that reads no record of algorithms must not go on without.
    static let version = 1
    static let versionWithAlgorithms = 2

    var recipe: Recipe
    var position: TrainingPosition
    var records: [EpochRecord]
    /// What each pass of a convolution takes; empty: what the rule says.
    var algorithms: [String: String]

    init(
        recipe: Recipe, position: TrainingPosition, records: [EpochRecord], algorithms: [String: String] = [:]
    ) {
        (self.recipe, self.position, self.records, self.algorithms) = (recipe, position, records, algorithms)
    }
}

// MARK: - Writing

extension CheckpointState {
    /// As metadata entries.
    var encoded: [String: String] {
        let options = recipe.encoded.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        var entries = [
            "training.version": "\(algorithms.isEmpty ? Self.version : Self.versionWithAlgorithms)",
            "training.recipe": options.joined(separator: ","),
            "training.position": Self.text(position),
            "training.history": records.map(Self.text).joined(separator: "\n"),
        ]
        guard !algorithms.isEmpty else { return entries }
        let taken = algorithms.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        entries["training.algorithms"] = taken.joined(separator: "\n")
        return entries
    }

    // Swift prints the shortest text that reads back as the same bits.
    private static func text(_ position: TrainingPosition) -> String {
        "\(position.epoch) \(position.batch) \(position.step) \(position.batches) \(position.lossSum) \(position.correct) "
            + "\(position.seconds) \(position.earlierSeconds)"
    }

    private static func text(_ record: EpochRecord) -> String {
        let tests = [record.testAccuracy, record.testLoss].map { $0.map { "\($0)" } ?? "-" }
        return "\(record.epoch) \(record.loss) \(record.accuracy) \(tests[0]) \(tests[1]) \(record.seconds) "
            + "\(record.learningRate)"
    }
}

// MARK: - Reading

extension CheckpointState {
    /// Reads what ``encoded`` wrote; `path` names the file in errors.
    init(_ metadata: [String: String], path: String) throws(RengaError) {
        guard let version = metadata["training.version"] else {
            throw RengaError(.corruptData, "'\(path)' holds no training to resume")
        }
        guard let number = Int(version), (Self.version...Self.versionWithAlgorithms).contains(number) else {
            throw RengaError(
                .unsupported,
                "'\(path)' holds a training of version \(version.prefix(20)), this is version "
                    + "\(Self.versionWithAlgorithms)")
        }
        guard let algorithms = Self.algorithms(metadata["training.algorithms"] ?? ""),
            algorithms.isEmpty == (number < Self.versionWithAlgorithms)
        else { throw RengaError(.corruptData, "'\(path)': the record of algorithms is damaged") }
        self.algorithms = algorithms
        let recipeText = metadata["training.recipe"] ?? ""
        do {
            recipe = try Recipe(attributes: Attributes(text: recipeText))
        } catch {
            throw RengaError(.corruptData, "'\(path)': \(error.message)")
        }
        guard let position = Self.position(metadata["training.position"] ?? "", recipe),
            let records = Self.records(metadata["training.history"] ?? ""), records.count == position.epoch
        else {
            throw RengaError(.corruptData, "'\(path)': position or history of the training is damaged")
        }
        self.position = position
        self.records = records
    }

    private static func position(_ text: String, _ recipe: Recipe) -> TrainingPosition? {
        let fields = text.split(separator: " ")
        guard fields.count == 8, let epoch = Int(fields[0]), let batch = Int(fields[1]), let step = Int(fields[2]),
            let batches = Int(fields[3]), let lossSum = finite(fields[4]), let correct = Int(fields[5]),
            let seconds = finite(fields[6]), let earlierSeconds = finite(fields[7])
        else { return nil }
        guard (0...recipe.epochs).contains(epoch), (0...Shape.mostElements).contains(batches),
            (0...batches).contains(batch), (0...Int.max / 2).contains(step), (0...Int.max / 2).contains(correct)
        else { return nil }
        return TrainingPosition(
            epoch: epoch, batch: batch, step: step, batches: batches, lossSum: lossSum, correct: correct,
            seconds: seconds, earlierSeconds: earlierSeconds)
    }

    private static func records(_ text: String) -> [EpochRecord]? {
        var records: [EpochRecord] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count == 7, let epoch = Int(fields[0]), epoch == records.count + 1,
                let loss = finite(fields[1]),
                let accuracy = finite(fields[2]), let testAccuracy = optional(fields[3]),
                let testLoss = optional(fields[4]), let seconds = finite(fields[5]), let rate = finite(fields[6])
            else { return nil }
            records.append(
                EpochRecord(
                    epoch: epoch, loss: loss, accuracy: accuracy, testAccuracy: testAccuracy, testLoss: testLoss,
                    seconds: seconds, learningRate: rate))
        }
        return records
    }

    /// Lines of "layer:pass algorithm", each pass once.
    private static func algorithms(_ text: String) -> [String: String]? {
        var algorithms: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let space = line.lastIndex(of: " "), space > line.startIndex,
                algorithms.updateValue(String(line[line.index(after: space)...]), forKey: String(line[..<space])) == nil
            else { return nil }
        }
        return algorithms
    }

    private static func finite(_ text: Substring) -> Double? {
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// nil: damaged; .some(nil): not measured. A network may answer a validation set with NaN or infinity and train on.
    private static func optional(_ text: Substring) -> Double?? {
        if text == "-" { return .some(nil) }
        guard let value = Double(text) else { return nil }
        return .some(value)
    }
}
