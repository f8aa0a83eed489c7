// Softmax.swift: softmax over the channels, or its logarithm: options and shape rule.
// Not here: how it runs (kernels), the cross-entropy loss (RengaTraining takes logits, not probabilities).

/// Softmax over C at each pixel: dst[c] = exp(src[c]) / sum over i of exp(src[i]), or the logarithm of it. src, dst `[N,H,W,C]`.
public struct Softmax {
    /// Whether the result is the logarithm of the softmax.
    public var isLog: Bool

    /// Makes a softmax.
    public init(log: Bool = false) { isLog = log }
}

// The protocol documents these.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension Softmax: Operator {
    public static let name = "softmax"
    public static let arity = Arity.exactly(1)
    public static let attributes = [
        AttributeSpec("log", .flag, default: "no", "Whether the result is the logarithm of the softmax.")
    ]

    public init(attributes: Attributes) throws(RengaError) {
        isLog = try AttributeReader(attributes, Self.attributes, owner: Self.name).flag("log")
    }

    public var encoded: Attributes { isLog ? ["log": "yes"] : [:] }

    public func outputShape(_ inputs: [Shape]) throws(RengaError) -> Shape { try Self.single(inputs) }
}
