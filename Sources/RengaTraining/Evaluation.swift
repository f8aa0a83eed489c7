// Evaluation.swift: how well a network answers on a labelled set.
// Not here: training; what a session does (RengaExecution).
import Glibc
import RengaData
import RengaExecution
import RengaNetwork

/// The answers of a network on a labelled set, counted.
public struct Evaluation: Sendable, Equatable {
    /// Images.
    public let n: Int
    /// Classes of the network.
    public let classes: Int
    /// Images whose largest output (the first of equals) is their label.
    public let correct: Int
    /// Mean cross entropy, without label smoothing.
    public let loss: Double
    /// `[classes,classes]` counts, row = label, column = answer. Empty above ``mostConfusedClasses`` classes.
    public let confusion: [Int]

    /// Most classes for which a confusion matrix is kept.
    public static let mostConfusedClasses = 4096

    /// Share of right answers, in 0 ... 1.
    public var accuracy: Double { Double(correct) / Double(n) }

    /// Share of right answers among the images of each class; nil for a class without images or without a confusion matrix.
    public var classAccuracy: [Double?] {
        (0..<classes).map { label in
            guard !confusion.isEmpty else { return nil }
            let row = confusion[label * classes..<(label + 1) * classes]
            let images = row.reduce(0, +)
            return images > 0 ? Double(row[row.startIndex + label]) / Double(images) : nil
        }
    }
}

// MARK: - Counting

extension Evaluation {
    /// Runs `network` over `dataset`, batch by batch; u8 images are normalised as the network's metadata says.
    /// threads: 1 ... 256; nil = as many as this process may use. Any number gives the same counts.
    /// Errors: shapeMismatch (images or classes that do not fit), unsupported (not a classifier), outOfMemory.
    public init(
        of network: Network, on dataset: Dataset, threads: Int? = nil, precision: Precision = .f32
    ) throws(RengaError) {
        try Evaluation.check(dataset, fits: network, "the data set")
        classes = try Trainer.classes(of: network)
        var options = SessionOptions()
        options.batch = Evaluation.batch(dataset)
        options.threads = threads
        options.precision = precision
        let session = try Session(network, options)
        let output = network.outputs[0] - network.inputs.count
        let isSoftmax = output >= 0 && (network.nodes[output].op as? Softmax)?.isOverChannels == true
        var counts = EvaluationCounts(classes: classes, areProbabilities: isSoftmax)
        let logits = try Buffer(floats: options.batch * classes, for: "the answers of a batch")
        // Below only its address is used.
        defer { withExtendedLifetime(logits) {} }
        for first in stride(from: 0, to: dataset.shape.n, by: options.batch) {
            let part = try dataset.subset(first..<min(first + options.batch, dataset.shape.n))
            try Evaluation.answer(session, part, logits.floats, classes)
            let answers = UnsafeBufferPointer(start: logits.floats, count: part.shape.n * classes)
            part.withLabels { counts.add(answers, $0) }
        }
        n = dataset.shape.n
        correct = counts.correct
        loss = counts.lossSum / Double(dataset.shape.n)
        confusion = counts.confusion
    }

    /// Images of one run: many where they are small, few where a batch would fill the memory.
    private static func batch(_ dataset: Dataset) -> Int {
        let mostFloats = 1 << 19
        return min(dataset.shape.n, max(1, min(128, mostFloats / dataset.shape.countPerImage)))
    }

    /// logits `[N,classes]` of all images of `part`.
    private static func answer(
        _ session: Session, _ part: Dataset, _ logits: UnsafeMutablePointer<Float>, _ classes: Int
    ) throws(RengaError) {
        try part.withImages { images throws(RengaError) in
            guard let data = images.baseAddress else { return }
            let src = InputView(data: data, shape: part.shape, element: part.element, layout: part.layout)
            let dst = OutputView(data: logits, count: part.shape.n * classes)
            try session.run([src], outputs: [dst], n: part.shape.n)
        }
    }

    /// Refuses a set that the network cannot learn from or be judged on; `what` names it.
    static func check(_ dataset: Dataset, fits network: Network, _ what: String) throws(RengaError) {
        let classes = try Trainer.classes(of: network)
        let input = network.inputs[0]
        guard dataset.shape.h == input.h, dataset.shape.w == input.w, dataset.shape.c == input.c else {
            throw RengaError(
                .shapeMismatch,
                "\(what) has images of \(dataset.shape.h) x \(dataset.shape.w) x \(dataset.shape.c), the network takes "
                    + "\(input.h) x \(input.w) x \(input.c)")
        }
        guard dataset.classes <= classes else {
            throw RengaError(
                .shapeMismatch, "\(what) has \(dataset.classes) classes, the network tells \(classes) apart")
        }
    }
}

/// Sums over the answers so far.
private struct EvaluationCounts {
    let classes: Int
    /// The answers are a softmax already.
    let areProbabilities: Bool
    var correct = 0
    var lossSum = 0.0
    var confusion: [Int]

    init(classes: Int, areProbabilities: Bool) {
        self.classes = classes
        self.areProbabilities = areProbabilities
        confusion = classes <= Evaluation.mostConfusedClasses ? Array(repeating: 0, count: classes * classes) : []
    }

    /// logits `[N,classes]`.
    mutating func add(_ logits: UnsafeBufferPointer<Float>, _ labels: UnsafeBufferPointer<Int32>) {
        for (row, label) in labels.enumerated() {
            let label = Int(label)
            let scores = UnsafeBufferPointer(rebasing: logits[row * classes..<(row + 1) * classes])
            var answer = 0
            for index in 1..<max(classes, 1) where scores[index] > scores[answer] { answer = index }
            if answer == label { correct += 1 }
            if !confusion.isEmpty { confusion[label * classes + answer] += 1 }
            lossSum +=
                areProbabilities ? minusLog(scores[label]) : crossEntropy(scores, label, highest: scores[answer])
        }
    }

    /// A softmax in f32 rounds what is below the least normal number to 0: one such answer must not make the mean infinite.
    private func minusLog(_ probability: Float) -> Double {
        probability < .leastNormalMagnitude ? -log(Double(Float.leastNormalMagnitude)) : -log(Double(probability))
    }

    /// Shifted by the maximum so that no exponential overflows.
    private func crossEntropy(_ scores: UnsafeBufferPointer<Float>, _ label: Int, highest: Float) -> Double {
        let sum = scores.reduce(0.0) { $0 + exp(Double($1) - Double(highest)) }
        return log(sum) + Double(highest) - Double(scores[label])
    }
}
