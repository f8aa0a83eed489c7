// Dropout.swift: dropout (Srivastava et al. 2014), inverted: options and shape rule.
// Not here: its random stream (RandomStream.swift, kernels); in inference it does nothing.

/// In training each element becomes 0 with probability `rate`, else src / (1 - rate); in inference dst = src. src, dst `[N,H,W,C]`.
public struct Dropout {
    /// Probability of dropping an element.
    public var rate: Double

    /// Makes a dropout; a rate out of bounds is an error of the shape rule.
    public init(rate: Double = 0.5) {
        self.rate = rate
    }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Dropout: Operator {
    public static let name = "dropout"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("rate", .number(0...0.99), default: "0.5", "Probability of dropping an element in training.")
    ]

    public init(attributes: Attributes) throws(RengaError) {
        rate = try AttributeReader(attributes, Self.attributes, owner: Self.name).number("rate")
    }

    public var encoded: Attributes { rate == 0.5 ? [:] : ["rate": "\(rate)"] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape {
        let src = try Self.single(inputs)
        try Self.check("rate", rate, in: 0...0.99)
        return src
    }
}
