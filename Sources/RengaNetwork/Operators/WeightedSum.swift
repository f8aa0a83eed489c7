// WeightedSum.swift: a sum of maps with a fixed weight for each (mixtures of the streams of merge-and-run networks): options and shape rule.
// Not here: how it runs (kernels), sums with equal weights (Add.swift, Mean.swift).

/// dst = weights[0] src[0] + weights[1] src[1] + …, elementwise. 1 to ``Network/mostInputs`` inputs and dst, all `[N,H,W,C]`.
public struct WeightedSum {
    /// One weight for each input; not trained.
    public var weights: [Double]

    /// Makes a weighted sum; another number of weights than inputs is an error of the shape rule.
    public init(weights: [Double]) { self.weights = weights }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension WeightedSum: Operator {
    public static let name = "weighted_sum"
    public static let arity = Arity.atLeast(1)
    public static let attributes = [
        AttributeSpec(
            "weights", .numbers(1...Network.mostInputs), default: nil, "One number for each input, which multiplies it."
        )
    ]

    public init(attributes: Attributes) throws(RengaError) {
        weights = try AttributeReader(attributes, Self.attributes, owner: Self.name).numbers("weights")
    }

    public var encoded: Attributes { ["weights": weights.map { "\($0)" }.joined(separator: " ")] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let shape = try Self.common(inputs)
        guard weights.count == inputs.count, weights.allSatisfy({ $0.magnitude <= AttributeKind.largestOfNumbers })
        else {
            throw RengaError(
                .invalidArgument,
                "weighted_sum: option 'weights' must be a number of at most \(Int(AttributeKind.largestOfNumbers)) for each of "
                    + "\(inputs.count) inputs, got \(weights.count): \(weights)")
        }
        return shape
    }
}
